"""Reads every dead-letter topic into PostgreSQL. It may start late or be down for weeks: the letters wait in Kafka.

Where to read on stands in PostgreSQL beside the rows; the group's offsets follow it, never the other way round, so a
database restored from a backup is filled up again from where it stands: the process that finds its rows gone ends, and
its successor begins there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from payonce import telemetry
from payonce.ports import Clock, PositionMoved, Record, StoreUnavailable, TopicPartition
from payonce.ports.ops import OpsStore, OpsTransaction
from payonce.subscription import GroupMember
from services.ops_console.letters import letter_of, merged

_BATCH = 200
#: Read ahead of the database at most; then the partitions are paused.
_MOST_WAITING = 2_000
_PAUSE_SECONDS = 1.0
#: So often the database is looked at while no letter comes: nothing else would show that it was restored.
_LOOK_SECONDS = 30.0
log = structlog.get_logger()


class Indexer:
    """A subscriber of the dead-letter topics. Belongs to one loop; `run` ends only by being cancelled, or by a bug."""

    def __init__(self, store: OpsStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._member: GroupMember | None = None
        self._new: dict[TopicPartition, int | None] = {}  # with the group's committed offsets
        self._open: dict[TopicPartition, int] = {}  # where the rows stood when this process last read or wrote it
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
        self._new.update(committed)
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
        """Index what comes, for ever; while PostgreSQL is away, wait. Raises PositionMoved."""
        while True:
            try:
                if not await self.run_once() and not await self._is_woken():
                    await self.check()
            except StoreUnavailable as error:
                log.warning("indexing_waits", error=str(error))
                await self._clock.sleep(_PAUSE_SECONDS)

    async def check(self) -> None:
        """Notice a restored database where nothing arrives. Raises PositionMoved or StoreUnavailable."""
        self._compare(await self._store.run(lambda tx: tx.positions()))

    async def run_once(self) -> bool:
        """Open new partitions, or index one batch; return whether there was anything.

        Raises StoreUnavailable: do it again; PositionMoved: the database was restored, so this process must end.
        """
        if self._new:
            await self._open_new()
            return True
        batch = [self._waiting[index] for index in range(min(_BATCH, len(self._waiting)))]
        if not batch:
            return False
        await self._store.run(lambda tx: self._index(tx, batch))
        self._finished(batch)
        return True

    async def _is_woken(self) -> bool:
        """Wait until there may be work, or until it is time to look at the database; return which."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._woken.wait()
        is_woken = self._woken.is_set()
        self._woken.clear()
        return is_woken

    def _index(self, tx: OpsTransaction, batch: Sequence[Record]) -> None:
        self._compare(tx.positions())
        index(tx, batch)

    def _compare(self, stored: Mapping[TopicPartition, int]) -> None:
        behind = [place for place, offset in self._open.items() if stored.get(place, 0) < offset]
        if behind:
            raise PositionMoved(
                f"{behind[0].topic}/{behind[0].partition}: its letters are not in the database any more"
            )

    async def _open_new(self) -> None:
        assert self._member is not None, "attached before it is started"
        positions = await self._store.run(lambda tx: tx.positions())
        for place, committed in sorted(self._new.items()):
            self._open[place] = position = positions.get(place, 0)
            self._member.open(place, position)
            if position > (committed or 0):  # whoever indexed it was gone before it could say so
                self._done[place] = position
        self._new.clear()
        self._member.commit({place: self._done[place] for place in self._open if place in self._done})

    def _finished(self, batch: Sequence[Record]) -> None:
        """Drop what is in the database from the queue, as far as a rebalance has not dropped it already."""
        assert self._member is not None, "attached before it is started"
        ids = {id(record) for record in batch}
        self._waiting = deque(record for record in self._waiting if id(record) not in ids)
        done = {place: at for place, at in _next_offsets(batch).items() if place in self._open}
        self._done |= done
        for place, at in done.items():
            self._open[place] = max(at, self._open[place])
        self._member.commit(done)
        self._hold_back()
        for record in batch:
            telemetry.dead_letters_indexed_total.labels(record.topic).inc()

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        gone = set(partitions)
        for place in gone:
            self._new.pop(place, None)
            self._open.pop(place, None)
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
