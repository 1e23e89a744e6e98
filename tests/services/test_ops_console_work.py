"""Indexing, replaying, anchoring and settling: crashes, outages and repetitions lose nothing and double nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from payonce.domain.commands import RegisterPayment
from payonce.ports import PublishFailed, Record, StoreUnavailable, TopicPartition
from payonce.ports.ops import LedgerView, Replay, TimelineLine
from services.ops_console.indexer import Indexer
from services.ops_console.letters import letter_of
from tests.fakes.dead_letters import letter_record, original
from tests.fakes.ops_console import Console
from tests.fakes.ops_store import MemoryOpsStore
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START, VirtualClock

PLACE = TopicPartition("payments.commands.dlt", 1)
NOW = datetime.fromtimestamp(START, UTC)


class Member:
    """The group, as the indexer sees it."""

    def __init__(self) -> None:
        self.opened: dict[TopicPartition, int | None] = {}
        self.committed: dict[TopicPartition, int] = {}
        self.paused: frozenset[TopicPartition] = frozenset()

    def open(self, partition: TopicPartition, offset: int | None) -> None:
        self.opened[partition] = offset

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        self.paused = partitions

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.committed.update(offsets)


def command(reference: str) -> RegisterPayment:
    """A registration that is fresh when a test begins, and long past 30 hours later."""
    return register(reference, issued_at=int(START), life_seconds=20 * 3600)


def letters(count: int, *, first: int = 0) -> list[Record]:
    return [
        letter_record(original(command(f"A-{number}"), offset=number), offset=number)
        for number in range(first, first + count)
    ]


def reading(store: MemoryOpsStore) -> tuple[Indexer, Member]:
    indexer, member = Indexer(store, VirtualClock()), Member()
    indexer.attach(member)
    indexer.assigned({PLACE: None})
    return indexer, member


async def drain(indexer: Indexer) -> None:
    while await indexer.run_once():
        pass


async def test_offsets_are_committed_only_once_the_rows_are_in_the_database() -> None:
    store = MemoryOpsStore()
    indexer, member = reading(store)
    await indexer.run_once()
    indexer.received(letters(3))
    store.is_away = True

    with pytest.raises(StoreUnavailable):
        await indexer.run_once()
    assert (member.committed, indexer.waiting) == ({}, 3)

    store.is_away = False
    await drain(indexer)
    assert (len(store.tables.letters), member.committed) == (3, {PLACE: 3})


async def test_a_partition_is_read_from_where_the_database_stands_whatever_the_group_says() -> None:
    """A database restored from a backup is filled up again."""
    store = MemoryOpsStore()
    store.tables.positions[PLACE] = 40
    indexer, member = Indexer(store, VirtualClock()), Member()
    indexer.attach(member)
    indexer.assigned({PLACE: 90})

    await indexer.run_once()

    assert member.opened == {PLACE: 40}


async def test_records_of_a_partition_that_was_taken_away_are_dropped() -> None:
    store = MemoryOpsStore()
    indexer, member = reading(store)
    await drain(indexer)
    indexer.received(letters(2))
    await drain(indexer)
    indexer.received(letters(2, first=2))

    done = await indexer.revoked([PLACE])
    await drain(indexer)

    assert (done, len(store.tables.letters), member.committed) == ({PLACE: 2}, 2, {PLACE: 2})


async def test_reading_ahead_of_the_database_has_an_end() -> None:
    indexer, member = reading(MemoryOpsStore())
    await drain(indexer)

    indexer.received([replace(letters(1)[0], offset=number) for number in range(2_500)])
    paused = member.paused
    await drain(indexer)

    assert (paused, member.paused) == (frozenset({PLACE}), frozenset())


# ----------------------------------------------------------------------------------------- replaying


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


# ------------------------------------------------------------------------------ anchoring and settling


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


async def test_a_silent_week_resolves_too_unless_the_ledger_does_not_know() -> None:
    console = Console()
    quiet, doubtful = started(console, letters(2))
    await console.finish_replays()
    known = command("A-1")
    console.store.tables.ledger[known.order_id] = [LedgerView(1, "unknown", known.body_hash)]
    console.clock.advance(timedelta(days=7, minutes=1).total_seconds())

    assert await settled(console, quiet) == ("resolved", "silence")
    assert await settled(console, doubtful) == ("replayed", None)
