"""Indexing dead letters: crashes, outages and rebalances lose nothing and double nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from payonce.ports import PositionMoved, StoreUnavailable, TopicPartition
from services.ops_console.indexer import Indexer
from tests.fakes.ops_store import MemoryOpsStore
from tests.fakes.refused_registrations import letters
from tests.fakes.virtual_clock import VirtualClock

PLACE = TopicPartition("payments.commands.dlt", 1)


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


async def test_what_another_process_indexed_and_did_not_commit_is_committed() -> None:
    """Else the group would seem to lag for ever."""
    store = MemoryOpsStore()
    store.tables.positions[PLACE] = 40
    indexer, member = reading(store)

    await indexer.run_once()

    assert member.committed == {PLACE: 40}


async def test_a_database_that_was_restored_meanwhile_ends_the_process() -> None:
    """Its successor begins where the rows stand, so that the letters since the backup are indexed again."""
    store = MemoryOpsStore()
    backup = store.tables
    indexer, _ = reading(store)
    await drain(indexer)
    indexer.received(letters(2))
    await drain(indexer)
    await indexer.check()

    store.tables = backup
    indexer.received(letters(1, first=2))

    with pytest.raises(PositionMoved):
        await indexer.check()
    with pytest.raises(PositionMoved):
        await indexer.run_once()
    assert store.tables.positions == {}


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
