"""Whether each record that is handed over follows the one before it, and whether the next one ever comes.

Between a seek and a fetch that is still under way, around a rebalance, records can be taken from the log and given to
nobody; what comes after them would move the position over them, and they would never be read again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

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


#: So many times in a row a partition must be seen to wait for the same record.
LOOKS = 7
#: Two minutes: a new leader tells less than its predecessor until its followers have caught up or are struck off.
MOST_LOOKS_AT_SHORTER = 24

#: Says whether the log has a record in there. Raises if it cannot be asked.
HoldsRecords = Callable[[Hole], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _Sight:
    """A partition that waits for `first`, and how many records were handled when that was seen.

    Once `due` are, all that lay in the log by then could have been: it no longer waits for its turn.
    """

    first: int
    handled: int
    due: int
    looks: int = 1

    def after(self, earlier: _Sight | None) -> _Sight:
        """Return what is known now, if that is what was known before."""
        is_same = earlier is not None and earlier.first == self.first
        return replace(earlier, looks=earlier.looks + 1) if earlier is not None and is_same else self

    def is_overdue(self, handled: int) -> bool:
        """Return whether it has waited for long, and not behind others in Faust's buffer."""
        return self.looks >= LOOKS and (handled == self.handled or handled >= self.due)


class Succession:
    """What comes next in each partition. Not for use by two tasks at once."""

    def __init__(self, holds_records: HoldsRecords) -> None:
        self._holds_records = holds_records
        self._next: dict[TopicPartition, int] = {}
        self._read: dict[TopicPartition, int] = {}
        self._looks_at_shorter = 0
        self._assignment = 0
        self._handled = 0
        self._sights: dict[TopicPartition, _Sight] = {}

    def begin(self, starts: Mapping[TopicPartition, int]) -> None:
        """Expect these offsets next, and nothing of other partitions."""
        self._assignment += 1
        self._next, self._read, self._looks_at_shorter = dict(starts), {}, 0
        self.forget_looks()

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
            self._handled += 1

    async def require(self, records: Iterable[Record]) -> None:
        """Return if nothing was passed over but offsets at which there is nothing (any more).

        Those are markers of a transaction, or have expired. Raises RecordsPassedOver.
        """
        for hole in self.holes(records):
            if await self._holds_records(hole):
                raise RecordsPassedOver(f"{hole} was not handed over")
            note_missing(hole)

    async def look(self, ends: Mapping[TopicPartition, int]) -> None:
        """Notice a partition that waits for the same record again and again, though there is nothing before it.

        And one whose log has lost its end: what it takes now lies at offsets that were handed over. `ends` is where the
        log ends, as far as it is known, asked after the last call. Raises RecordsPassedOver.
        """
        shorter = [place for place, read in self._read.items() if ends.get(place, read) < read]
        self._looks_at_shorter = self._looks_at_shorter + 1 if shorter else 0
        if self._looks_at_shorter > MOST_LOOKS_AT_SHORTER:
            raise RecordsPassedOver(f"the log ends before what it had handed over: {shorter}")
        self._read = dict(self._next)
        waiting = [Hole(place, first, ends[place]) for place, first in self._next.items() if first < ends.get(place, 0)]
        backlog = sum(hole.end - hole.first for hole in waiting)
        fresh = {hole.place: _Sight(hole.first, self._handled, self._handled + backlog) for hole in waiting}
        self._sights = {place: sight.after(self._sights.get(place)) for place, sight in fresh.items()}
        for hole in waiting:
            if self._sights[hole.place].is_overdue(self._handled):
                await self._require_nothing_in(hole)

    def forget_looks(self) -> None:
        """Begin looking anew: there is a reason to wait."""
        self._sights = {}

    async def _require_nothing_in(self, hole: Hole) -> None:
        assignment = self._assignment
        is_lost = await self._holds_records(hole)
        if self._assignment != assignment or self._next.get(hole.place) != hole.first:
            return  # it came while we asked, or will come again
        if is_lost:
            raise RecordsPassedOver(f"{hole} is not handed over")
        note_missing(hole)
        self._next[hole.place] = hole.end


def note_missing(hole: Hole) -> None:
    """Count offsets at which the log has nothing (any more)."""
    telemetry.fold_missing_offsets_total.labels(hole.place.topic).inc(hole.end - hole.first)
    log.warning(
        "the log has nothing here",
        topic=hole.place.topic,
        partition=hole.place.partition,
        first=hole.first,
        end=hole.end,
    )
