"""One suite for the ops tables in memory and in PostgreSQL: so the fake of the services' tests earns its trust."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from payonce.audit import chained
from payonce.ports import OutgoingRecord, TopicPartition
from payonce.ports.ops import Action, Content, Edit, Letter, LetterFilter, OpsTransaction, Replay, ReplayItem
from payonce.ports.ops_reads import REFUSALS, LedgerView, RefundView, TimelineLine
from tests.fakes.dead_letters import garbage, letter, original
from tests.fakes.ops_stores import Fake, Real, chosen
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

NOW = datetime.fromtimestamp(START, UTC)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> Iterator[Fake | Real]:
    yield from chosen(request)


def some_letter(number: int = 0, **changes: object) -> Letter:
    row = letter(original(register(f"A-{number}"), offset=number), offset=number, at=START + number)
    fields: dict[str, object] = dict(changes)
    return replace(row, **fields)  # type: ignore[arg-type]  # a test's own changes


def stored(world: Fake | Real, *letters: Letter) -> None:
    world.run(lambda tx: tx.save_letters(letters))


def found(world: Fake | Real, wanted: LetterFilter, after: str | None = None) -> list[str]:
    return [each.letter_id for each in world.run(lambda tx: tx.letters(wanted, limit=10, after=after))]


def test_a_letter_comes_back_as_it_was_whatever_its_bytes(world: Fake | Real) -> None:
    edit = Edit(None, b"\xff\x00", "x", "olga", NOW, "why", "hash", True, "ada", NOW)
    odd = letter(garbage(value=b"\x00\xff", key=None))
    odd = replace(odd, headers=(*odd.headers, ("binary", b"\xfe\x00")), edit=edit, awaits=("a", "b"))
    odd = replace(odd, amendment=Content(b"\xff\x00", b"{}", "payonce.RegisterPayment.v1"))
    plain, half_known = some_letter(), some_letter(1, amendment=Content(None, b"{}", None))

    stored(world, odd, plain, half_known)

    assert world.run(lambda tx: tx.lock_letters([odd.letter_id, plain.letter_id, half_known.letter_id, "none"])) == {
        odd.letter_id: odd,
        plain.letter_id: plain,
        half_known.letter_id: half_known,
    }


def test_saving_again_replaces_the_row(world: Fake | Real) -> None:
    stored(world, some_letter(state="open"))
    stored(world, some_letter(state="discarded", attempts=3))

    [row] = world.run(lambda tx: tx.letters(LetterFilter(), limit=10))
    assert (row.state, row.attempts) == ("discarded", 3)


def test_letters_are_found_by_every_filter_oldest_first(world: Fake | Real) -> None:
    first, second, third = (
        some_letter(0),
        some_letter(1, state="replayed"),
        some_letter(2, reason="not_json", group="g"),
    )
    stored(world, third, first, second)
    ids = [first.letter_id, second.letter_id, third.letter_id]

    assert found(world, LetterFilter()) == ids
    assert found(world, LetterFilter(), after=ids[0]) == ids[1:]
    assert found(world, LetterFilter(order_id=second.order_id)) == [ids[1]]
    assert found(world, LetterFilter(reason="not_json", group="g")) == [ids[2]]
    assert found(world, LetterFilter(topic="payments.commands")) == ids
    assert found(world, LetterFilter(topic="payments.commands.dlt", state="open")) == [ids[0], ids[2]]
    assert found(world, LetterFilter(first_seen_before=NOW + timedelta(seconds=1))) == [ids[0]]
    assert found(world, LetterFilter(first_seen_after=NOW + timedelta(seconds=1))) == ids[1:]


def test_a_transaction_that_fails_leaves_nothing_behind(world: Fake | Real) -> None:
    def fail(tx: OpsTransaction) -> None:
        tx.save_letters([some_letter()])
        tx.append_action(chained(Action(NOW, "olga", "edit", "dl", "why"), tx.last_action()))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        world.run(fail)

    assert found(world, LetterFilter()) == []
    assert world.run(lambda tx: tx.last_action()) is None


def test_letters_of_one_origin_are_found_together(world: Fake | Real) -> None:
    record = original(register())
    pair = [letter(record), letter(record, group="status_processor")]
    stored(world, *pair, some_letter(5))

    both = world.run(lambda tx: tx.letters_from([pair[0].origin]))

    assert {each.letter_id for each in both} == {each.letter_id for each in pair}


def test_replayed_letters_are_settled_by_the_timeline_or_by_silence(world: Fake | Real) -> None:
    old = NOW - timedelta(days=8)
    told = some_letter(0, state="replayed", awaits=("evt_1", "evt_2"), state_since=NOW)
    silent, doubtful = (
        some_letter(1, state="replayed", state_since=old),
        some_letter(2, state="replayed", state_since=old),
    )
    fresh, untouched = some_letter(3, state="replayed", state_since=NOW), some_letter(4, state_since=old)
    stored(world, told, silent, doubtful, fresh, untouched)
    world.add_line(told.order_id or "", TimelineLine("evt_2", "TokenIssued", NOW, "t", 0, 0, "applied", None))
    world.add_attempt(doubtful.order_id or "", LedgerView(1, "unknown", "h"))

    count = world.run(lambda tx: tx.settle_replayed(now=NOW, silent_since=NOW - timedelta(days=7)))

    rows = world.run(lambda tx: tx.letters(LetterFilter(), limit=10))
    assert count == 2
    assert [(row.state, row.resolution) for row in rows] == [
        ("resolved", "timeline"),
        ("resolved", "silence"),
        ("replayed", None),
        ("replayed", None),
        ("open", None),
    ]


def test_silence_settles_no_letter_that_was_sent_under_the_key_of_an_order_that_is_doubtful(world: Fake | Real) -> None:
    """Its own key named another order: that was the fault, and an edit mended it."""
    old = NOW - timedelta(days=8)
    mended = some_letter(0, state="replayed", state_since=old, amendment=Content(b"ord_doubtful", b"{}", "x"))
    binary = some_letter(1, state="replayed", state_since=old, amendment=Content(b"\xff\x00", b"{}", "x"))
    stored(world, mended, binary)
    world.add_attempt("ord_doubtful", LedgerView(1, "unknown", "h"))

    assert world.run(lambda tx: tx.settle_replayed(now=NOW, silent_since=NOW - timedelta(days=7))) == 1
    assert [row.state for row in world.run(lambda tx: tx.letters(LetterFilter(), limit=10))] == ["replayed", "resolved"]


def test_a_refusal_opens_the_letter_of_a_command_and_is_what_an_outcome_of_its_own_kind_waits_for(
    world: Fake | Real,
) -> None:
    refused, done = (
        some_letter(number, state="replayed", awaits=(f"no_{number}", f"yes_{number}")) for number in (0, 1)
    )
    fold_s = [
        some_letter(number, state="replayed", awaits=(f"no_{number}",), original_topic="payments.tokens")
        for number in range(2, 2 + len(REFUSALS))
    ]
    stored(world, refused, done, *fold_s)
    for number, kind in enumerate((REFUSALS[0], REFUSALS[0], *REFUSALS)):
        world.add_line("ord_1", TimelineLine(f"no_{number}", kind, NOW, "t", 0, number, "applied", None))
    world.add_line("ord_1", TimelineLine("yes_1", "TokenIssued", NOW, "t", 0, 9, "applied", None))

    count = world.run(lambda tx: tx.settle_replayed(now=NOW, silent_since=NOW - timedelta(days=7)))

    rows = world.run(lambda tx: tx.letters(LetterFilter(), limit=10))
    assert count == 1 + len(fold_s)
    assert [(row.state, row.resolution, row.state_since) for row in rows] == [
        ("open", "refused", NOW),
        *[("resolved", "timeline", NOW)] * count,
    ]


def test_the_oldest_unresolved_offset_and_the_open_ones_are_counted(world: Fake | Real) -> None:
    stored(world, some_letter(3), some_letter(7, state="replayed"), some_letter(1, state="discarded"))

    assert world.run(lambda tx: tx.oldest_unresolved()) == {TopicPartition("payments.commands.dlt", 1): 3}
    assert world.run(lambda tx: tx.counts()) == {("payments.commands", "psp_worker", "psp_refused"): 1}


def test_the_ledger_and_the_timeline_are_read(world: Fake | Real) -> None:
    world.add_attempt("ord_1", LedgerView(1, "failed", "h1"))
    world.add_attempt("ord_1", LedgerView(2, "open", "h2"))
    world.add_refund("ord_1", RefundView("back-1", "unknown", "cmd_1"))
    lines = [
        TimelineLine(f"evt_{number}", "X", NOW + timedelta(seconds=number), "t", 1, number, "applied", None)
        for number in range(3)
    ]
    for line in reversed(lines):
        world.add_line("ord_1", line)

    attempts = [LedgerView(1, "failed", "h1"), LedgerView(2, "open", "h2")]
    assert world.run(lambda tx: tx.ledger_of(["ord_1", "ord_2"])) == {
        "ord_1": [*attempts, RefundView("back-1", "unknown", "cmd_1")]
    }
    assert world.run(lambda tx: tx.timeline("ord_1", 2)) == lines[1:]


def test_positions_never_go_back(world: Fake | Real) -> None:
    place = TopicPartition("payments.tokens.dlt", 2)
    for offset in (5, 9, 7):
        world.run(lambda tx, offset=offset: tx.advance({place: offset}))  # type: ignore[misc]

    assert world.run(lambda tx: tx.positions()) == {place: 9}


def test_a_replay_goes_through_its_items_and_keeps_what_it_froze(world: Fake | Real) -> None:
    letters = [some_letter(number) for number in range(3)]
    stored(world, *letters)
    ids = [each.letter_id for each in reversed(letters)]
    replay = Replay("rp_1", "olga", NOW, "why")
    world.run(lambda tx: tx.insert_replay(replay, ids))
    frozen = OutgoingRecord("payments.commands", None, b"\x00", (("a", b"\xff"),))

    first = world.run(lambda tx: tx.next_item("rp_1"))
    assert first is not None
    assert (first.letter_id, first.state) == (ids[0], "waiting")
    world.run(lambda tx: tx.save_item(replace(first, state="skipped", detail="because")))
    second = world.run(lambda tx: tx.next_item("rp_1"))
    assert second is not None
    prepared = replace(second, state="prepared", record=frozen)
    world.run(lambda tx: tx.save_item(prepared))

    assert world.run(lambda tx: tx.next_item("rp_1")) == prepared
    assert world.run(lambda tx: tx.item_counts("rp_1")) == {"skipped": 1, "prepared": 1, "waiting": 1}
    assert [each.detail for each in world.run(lambda tx: tx.skipped_items("rp_1", 5))] == ["because"]


def test_replays_run_one_after_the_other_and_a_cancelled_one_only_to_finish_what_it_prepared(
    world: Fake | Real,
) -> None:
    stored(world, some_letter())
    later, earlier = Replay("rp_a", "olga", NOW + timedelta(seconds=1), "w"), Replay("rp_b", "olga", NOW, "w")
    for replay in (later, earlier):
        world.run(lambda tx, replay=replay: tx.insert_replay(replay, [some_letter().letter_id]))  # type: ignore[misc]
    assert world.run(lambda tx: tx.running_replay()) == earlier
    item = world.run(lambda tx: tx.next_item("rp_b"))
    assert item is not None
    frozen = OutgoingRecord("payments.commands", None, None)
    world.run(lambda tx: tx.save_item(replace(item, state="prepared", record=frozen)))
    cancelled = replace(earlier, state="cancelled", ended_at=NOW, cancelled_by="olga")
    world.run(lambda tx: tx.save_replay(cancelled))

    assert world.run(lambda tx: tx.running_replay()) == cancelled
    world.run(lambda tx: tx.save_item(replace(item, state="sent")))
    assert world.run(lambda tx: tx.running_replay()) == later


def test_a_replay_that_was_lost_with_a_restored_database_stays_lost(world: Fake | Real) -> None:
    """Its record was on its way meanwhile; what is then said of it is about nothing."""
    stored(world, some_letter())
    replay = Replay("rp_lost", "olga", NOW, "why")

    world.run(lambda tx: tx.save_item(ReplayItem("rp_lost", 1, some_letter().letter_id, state="sent")))
    world.run(lambda tx: tx.save_replay(replace(replay, state="finished", ended_at=NOW)))

    assert world.run(lambda tx: tx.replay("rp_lost")) is None
    assert world.run(lambda tx: tx.next_item("rp_lost")) is None
    assert world.run(lambda tx: tx.item_counts("rp_lost")) == {}
    assert world.run(lambda tx: tx.skipped_items("rp_lost", 5)) == []
