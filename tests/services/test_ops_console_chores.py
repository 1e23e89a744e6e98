"""Replaying, anchoring and settling: crashes, cancellations and repetitions lose nothing and double nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from payonce import telemetry
from payonce.ports import PublishFailed, Record
from payonce.ports.ops import Replay
from payonce.ports.ops_reads import REFUSALS, LedgerView, TimelineLine
from services.ops_console.letters import letter_of
from tests.fakes.dead_letters import letter_record, original
from tests.fakes.ops_console import Console
from tests.fakes.refused_registrations import command, letters
from tests.fakes.virtual_clock import START

NOW = datetime.fromtimestamp(START, UTC)


def started(console: Console, records: Sequence[Record]) -> list[str]:
    ids = console.index(*records)
    console.store.run_now(lambda tx: tx.insert_replay(Replay("rp_1", "olga", NOW, "why"), ids))
    return ids


async def test_a_crash_before_the_delivery_report_sends_the_same_record_again() -> None:
    """The plan is frozen: a new attempt does not get another number because the first one was heard already."""
    console = Console()
    started(console, letters(1))
    console.clock.advance(30 * 3600)
    console.log.failures = 1
    with pytest.raises(PublishFailed):
        await console.replayer.run_once()
    known = command("A-0")
    console.store.tables.ledger[known.order_id] = [LedgerView(1, "open", known.body_hash)]

    await console.finish_replays()

    [sent] = console.log.messages("payments.commands")
    assert getattr(sent, "attempt") == 1  # noqa: B009  (any message)
    assert [entry.action.action for entry in console.store.tables.actions] == ["replay"]


async def test_a_letter_is_marked_before_it_is_sent_so_that_one_that_comes_back_at_once_opens() -> None:
    console = Console()
    [letter_id] = started(console, letters(1))
    publish = console.log.publish

    async def fail_at_once(record: object) -> None:
        await publish(record)  # type: ignore[arg-type]
        console.index(letter_record(console.log.on("payments.commands")[0], offset=9))

    console.log.publish = fail_at_once  # type: ignore[method-assign]

    await console.finish_replays()

    assert console.store.tables.letters[letter_id].state == "open"


async def test_a_record_that_was_prepared_is_sent_even_after_a_cancellation() -> None:
    console = Console()
    [letter_id] = started(console, letters(1))
    console.log.failures = 1
    with pytest.raises(PublishFailed):
        await console.replayer.run_once()
    console.store.tables.replays["rp_1"] = replace(console.store.tables.replays["rp_1"], state="cancelled")

    await console.finish_replays()

    assert len(console.log.published) == 1
    assert console.store.tables.letters[letter_id].state == "replayed"


async def test_a_new_attempt_answers_the_letters_of_other_groups_about_the_same_record() -> None:
    console = Console()
    record = original(command("A-1"))
    worker, fold = letter_record(record), letter_record(record, group="status_processor", offset=1)
    other = letter_of(fold).letter_id
    console.index(fold)
    console.clock.advance(30 * 3600)
    started(console, [worker])

    await console.finish_replays()

    assert console.store.tables.letters[other].state == "replayed"


async def test_what_cannot_be_sent_is_skipped_with_its_reason_and_stays_open() -> None:
    console = Console()
    known = command("A-0")
    [letter_id] = started(console, letters(1))
    console.clock.advance(30 * 3600)
    console.store.tables.ledger[known.order_id] = [LedgerView(2, "open", "v1:other")]

    await console.finish_replays()

    [item] = console.store.tables.items["rp_1"]
    assert (item.state, console.store.tables.letters[letter_id].state) == ("skipped", "open")
    assert "may still be paid" in (item.detail or "")
    assert console.log.published == []


async def test_only_the_process_that_leads_replays() -> None:
    console = Console()
    started(console, letters(1))
    console.store.leads = False

    assert not await console.chores.run_once()
    assert console.log.published == []


async def test_a_crash_between_topic_and_table_repeats_an_entry_and_loses_none() -> None:
    console = Console()
    started(console, letters(2))
    await console.finish_replays()
    console.log.failures = 0
    publish, published = console.log.publish, len(console.log.published)
    calls = 0

    async def fail_at_the_second(record: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise PublishFailed("away")
        await publish(record)  # type: ignore[arg-type]

    console.log.publish = fail_at_the_second  # type: ignore[method-assign]
    with pytest.raises(PublishFailed):
        await console.chores.run_once()
    await console.chores.run_once()

    bodies = [record.value for record in console.log.published[published:]]
    assert (len(bodies), len(set(bodies)), bodies[0] == bodies[1]) == (3, 2, True)


async def settled(console: Console, letter_id: str) -> tuple[str, str | None]:
    await console.chores.run_once()
    letter = console.store.tables.letters[letter_id]
    return letter.state, letter.resolution


async def test_a_replayed_letter_is_resolved_when_the_timeline_shows_its_outcome() -> None:
    console = Console()
    [letter_id] = started(console, letters(1))
    await console.finish_replays()
    assert await settled(console, letter_id) == ("replayed", None)
    known = command("A-0")
    awaited = console.store.tables.letters[letter_id].awaits[0]
    line = TimelineLine(awaited, "TokenIssued", NOW, "payments.tokens", 0, 0, "applied", None)
    console.store.tables.lines[known.order_id] = [line]
    console.clock.advance(60)

    assert await settled(console, letter_id) == ("resolved", "timeline")


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_replayed_command_that_is_refused_opens_its_letter_again(refusal: str) -> None:
    """Nothing was done that anybody asked for: a letter that looked answered would hide it."""
    console = Console()
    [letter_id] = started(console, letters(1))
    await console.finish_replays()
    known = command("A-0")
    awaited = console.store.tables.letters[letter_id].awaits
    line = TimelineLine(awaited[0], refusal, NOW, "payments.tokens", 0, 0, "applied", None)
    console.store.tables.lines[known.order_id] = [line]
    assert await settled(console, letter_id) == ("open", "refused")

    console.store.run_now(lambda tx: tx.insert_replay(Replay("rp_2", "olga", NOW, "why"), [letter_id]))
    await console.finish_replays()
    console.store.tables.lines[known.order_id] += [replace(line, event_id=awaited[1], event_type="TokenIssued")]
    console.clock.advance(60)

    assert await settled(console, letter_id) == ("resolved", "timeline")


async def test_a_silent_week_resolves_too_unless_the_ledger_does_not_know() -> None:
    console = Console()
    quiet, doubtful = started(console, letters(2))
    await console.finish_replays()
    known = command("A-1")
    console.store.tables.ledger[known.order_id] = [LedgerView(1, "unknown", known.body_hash)]
    console.clock.advance(timedelta(days=7, minutes=1).total_seconds())

    assert await settled(console, quiet) == ("resolved", "silence")
    assert await settled(console, doubtful) == ("replayed", None)


async def test_a_console_that_loses_the_lead_counts_no_letters_any_more() -> None:
    """Else it would export its last count until it restarts, beside the one of the console that leads."""
    console = Console()
    started(console, letters(1))
    await console.chores.run_once()
    assert next(iter(telemetry.dead_letters_open.collect())).samples != []

    console.store.leads = False
    await console.chores.run_once()

    assert next(iter(telemetry.dead_letters_open.collect())).samples == []
