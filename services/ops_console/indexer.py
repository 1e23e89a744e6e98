"""Reads every dead-letter topic into PostgreSQL. It may start late or be down for weeks: the letters wait in Kafka.

Where to read on stands in PostgreSQL beside the rows; the group's offsets follow it, never the other way round, so a
database restored from a backup is filled up again from where it stands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

import structlog

from payonce import telemetry
from payonce.ports import Clock, Record, StoreUnavailable, TopicPartition
from payonce.ports.ops import OpsStore, OpsTransaction
from payonce.subscription import GroupMember
from services.ops_console.letters import letter_of, merged

_BATCH = 200
#: Read ahead of the database at most; then the partitions are paused.
_MOST_WAITING = 2_000
_PAUSE_SECONDS = 1.0
log = structlog.get_logger()


class Indexer:
    """A subscriber of the dead-letter topics. Belongs to one loop; `run` ends only by being cancelled, or by a bug."""

    def __init__(self, store: OpsStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._member: GroupMember | None = None
        self._new: set[TopicPartition] = set()
        self._open: set[TopicPartition] = set()
        self._done: dict[TopicPartition, int] = {}
        self._waiting: deque[Record] = deque()
        self._woken = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many letters are read and not yet in the database."""
        return len(self._waiting)

    def attach(self, member: GroupMember) -> None:
        """Name the member of the group that reads for us."""
        self._member = member

    def assigned(self, committed: Mapping[TopicPartition, int | None]) -> None:
        self._new |= committed.keys()
        self._woken.set()

    def received(self, records: Sequence[Record]) -> None:
        self._waiting.extend(record for record in records if record.topic_partition in self._open)
        self._hold_back()
        self._woken.set()

    async def revoked(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        done = {place: self._done[place] for place in partitions if place in self._done}
        self._forget(partitions)
        return done

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._forget(partitions)

    async def run(self) -> None:
        """Index what comes, for ever; while PostgreSQL is away, wait."""
        while True:
            try:
                worked = await self.run_once()
            except StoreUnavailable as error:
                log.warning("indexing_waits", error=str(error))
                await self._clock.sleep(_PAUSE_SECONDS)
                continue
            if not worked:
                await self._woken.wait()
                self._woken.clear()

    async def run_once(self) -> bool:
        """Open new partitions, or index one batch; return whether there was anything. Raises StoreUnavailable."""
        if self._new:
            await self._open_new()
            return True
        batch = [self._waiting[index] for index in range(min(_BATCH, len(self._waiting)))]
        if not batch:
            return False
        await self._store.run(lambda tx: index(tx, batch))
        self._finished(batch)
        return True

    async def _open_new(self) -> None:
        assert self._member is not None, "attached before it is started"
        positions = await self._store.run(lambda tx: tx.positions())
        for place in sorted(self._new):
            self._open.add(place)
            self._member.open(place, positions.get(place, 0))
        self._new.clear()

    def _finished(self, batch: Sequence[Record]) -> None:
        """Drop what is in the database from the queue, as far as a rebalance has not dropped it already."""
        assert self._member is not None, "attached before it is started"
        ids = {id(record) for record in batch}
        self._waiting = deque(record for record in self._waiting if id(record) not in ids)
        done = {place: at for place, at in _next_offsets(batch).items() if place in self._open}
        self._done |= done
        self._member.commit(done)
        self._hold_back()
        for record in batch:
            telemetry.dead_letters_indexed_total.labels(record.topic).inc()

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        gone = set(partitions)
        self._new -= gone
        self._open -= gone
        for place in gone:
            self._done.pop(place, None)
        self._waiting = deque(record for record in self._waiting if record.topic_partition not in gone)

    def _hold_back(self) -> None:
        if self._member is not None:
            self._member.pause(frozenset(self._open) if len(self._waiting) > _MOST_WAITING else frozenset())


def index(tx: OpsTransaction, records: Sequence[Record]) -> None:
    """Bring the letters into the database, with the place up to which that is done. Idempotent."""
    read = [letter_of(record) for record in records]
    rows = dict(tx.lock_letters([letter.letter_id for letter in read]))
    for letter in read:
        rows[letter.letter_id] = merged(rows.get(letter.letter_id), letter)
    tx.save_letters(list(rows.values()))
    tx.advance(_next_offsets(records))


def _next_offsets(records: Sequence[Record]) -> dict[TopicPartition, int]:
    return {record.topic_partition: record.offset + 1 for record in records}
