"""Whether each record that is handed over follows the one before it, and whether the next one ever comes.

Between a seek and a fetch that is still under way, around a rebalance, records can be taken from the log and given to
nobody; what comes after them would move the position over them, and they would never be read again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from payonce import telemetry
from payonce.ports import Record, TopicPartition

log = structlog.get_logger()


class RecordsPassedOver(Exception):
    """The log has records that are not handed over: start anew from the stored position."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Offsets from `first` up to `end` (exclusive) of one partition."""

    place: TopicPartition
    first: int
    end: int


#: As many as Faust may hold back in its buffers: behind more than that a partition may wait for its turn.
_BACKLOG_RECORDS = 20_000

#: Says whether the log has a record in there. Raises if it cannot be asked.
HoldsRecords = Callable[[Hole], Awaitable[bool]]


class Succession:
    """What comes next in each partition. Not for use by two tasks at once."""

    def __init__(self, holds_records: HoldsRecords) -> None:
        self._holds_records = holds_records
        self._next: dict[TopicPartition, int] = {}
        self._waited: dict[TopicPartition, int] = {}

    def begin(self, starts: Mapping[TopicPartition, int]) -> None:
        """Expect these offsets next, and nothing of other partitions."""
        self._next = dict(starts)
        self.forget_look()

    def holes(self, records: Iterable[Record]) -> list[Hole]:
        """Return what lies between these records and those before them. Pure."""
        expected, found = dict(self._next), []
        for record in records:
            place = record.topic_partition
            first = expected.get(place, record.offset)
            if first < record.offset:
                found.append(Hole(place, first, record.offset))
            expected[place] = max(first, record.offset + 1)
        return found

    def done(self, records: Iterable[Record]) -> None:
        """Take the records as handled."""
        for record in records:
            place = record.topic_partition
            self._next[place] = max(self._next.get(place, 0), record.offset + 1)

    async def require(self, records: Iterable[Record]) -> None:
        """Return if nothing was passed over but offsets at which there is nothing (any more).

        Those are markers of a transaction, or have expired. Raises RecordsPassedOver.
        """
        for hole in self.holes(records):
            if await self._holds_records(hole):
                raise RecordsPassedOver(f"{hole} was not handed over")
            self._pass(hole)

    async def look(self, ends: Mapping[TopicPartition, int]) -> None:
        """Notice, at the second call, a partition that waits for the same record; `ends` is where the log ends.

        Raises RecordsPassedOver. A batch may be handled meanwhile, but not for as long as from one call to the next.
        """
        waiting = [Hole(place, first, ends[place]) for place, first in self._next.items() if first < ends.get(place, 0)]
        stalled = [hole for hole in waiting if self._waited.get(hole.place) == hole.first]
        if sum(hole.end - hole.first for hole in waiting) > _BACKLOG_RECORDS:
            self.forget_look()
            return
        self._waited = {hole.place: hole.first for hole in waiting}
        for hole in stalled:
            is_lost = await self._holds_records(hole)
            if self._next.get(hole.place) != hole.first:
                continue
            if is_lost:
                raise RecordsPassedOver(f"{hole} is not handed over")
            self._pass(hole)
            self._next[hole.place] = hole.end

    def forget_look(self) -> None:
        """Begin looking anew: there was a reason to wait."""
        self._waited = {}

    def _pass(self, hole: Hole) -> None:
        telemetry.fold_missing_offsets_total.labels(hole.place.topic).inc(hole.end - hole.first)
        log.warning(
            "the log has nothing here",
            topic=hole.place.topic,
            partition=hole.place.partition,
            first=hole.first,
            end=hole.end,
        )
