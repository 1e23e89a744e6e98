"""What this process last read or wrote of fold_position: how a second writer and a restored database are noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from payonce.ports import FoldStore, PositionMoved, Record, TopicPartition


@dataclass(frozen=True, slots=True)
class Step:
    """Next offsets to store, and what must be stored there now (None: nothing)."""

    offsets: Mapping[TopicPartition, int]
    expected: Mapping[TopicPartition, int | None]


def places_behind(
    stored: Mapping[TopicPartition, int], committed: Mapping[TopicPartition, int | None]
) -> dict[TopicPartition, int]:
    """Return where to start partitions of which Kafka believes more folded than the rows say (a restored backup)."""
    return {
        place: stored.get(place, 0)
        for place, offset in committed.items()
        if offset is not None and stored.get(place, 0) < offset
    }


class Positions:
    """One process's view of fold_position. Not for use by two tasks at once."""

    def __init__(self) -> None:
        self._held: dict[TopicPartition, int] = {}
        self._is_read = False
        #: Ours to compare: other processes move the positions of their partitions all the time.
        self._written: set[TopicPartition] = set()
        self._assigned: set[TopicPartition] = set()
        self._in_doubt: Mapping[TopicPartition, int] | None = None
        self._committed: Mapping[TopicPartition, int | None] = {}
        self._ends: Mapping[TopicPartition, int] = {}

    def start(self, stored: Mapping[TopicPartition, int]) -> None:
        """Begin anew from what is stored: at an assignment, after which nobody else writes our partitions."""
        self._held, self._is_read, self._in_doubt = dict(stored), True, None
        self._written.clear()
        self._committed = {}

    def forget(self, committed: Mapping[TopicPartition, int | None], ends: Mapping[TopicPartition, int]) -> None:
        """Read again before the next step: an assignment that begins at `committed`, where the log ends at `ends`."""
        self._is_read, self._in_doubt, self._committed, self._ends = False, None, committed, ends
        self._assigned = set(committed)

    def release(self) -> None:
        """Compare nothing until the next assignment: our partitions' next owners may write already."""
        self._written.clear()
        self._assigned.clear()

    def next_offset(self, place: TopicPartition) -> int:
        """Return how far this partition is folded, as far as we know."""
        return self._held.get(place, 0)

    def may_have_been_told(self, record: Record) -> bool:
        """Return whether a fold whose rows are lost with a database may have announced what this record made.

        No row knows of the record, but it was in the log when we were given its partition.
        """
        place = record.topic_partition
        return self.next_offset(place) <= record.offset < self._ends.get(place, 0)

    def step(self, records: Iterable[Record]) -> Step:
        """Return the step over these records. A stored position never goes back: what lies below it is folded."""
        offsets: dict[TopicPartition, int] = {}
        for record in records:
            place = record.topic_partition
            offsets[place] = max(offsets.get(place, self._held.get(place, 0)), record.offset + 1)
        return Step(offsets, {place: self._held.get(place) for place in offsets})

    def done(self, step: Step) -> None:
        """Take the step as committed."""
        self._held.update(step.offsets)
        self._written.update(step.offsets)

    def doubt(self, step: Step) -> None:
        """Take the step as perhaps committed: the connection went before the answer came."""
        self._in_doubt = step.offsets

    async def settle(self, store: FoldStore) -> None:
        """Make sure that what we hold is what is stored. Raises PositionMoved or StoreUnavailable."""
        if self._is_read and self._in_doubt is None:
            return
        stored = await store.positions()
        if self._is_read and self._in_doubt is not None:
            self._compare(stored, self._in_doubt)
        elif lost := places_behind(stored, self._committed):
            raise PositionMoved(f"the rows are behind the offsets that we began at: {lost}")
        self.start(stored)

    async def check(self, store: FoldStore) -> None:
        """Notice a restored database where nothing arrives, too. Raises PositionMoved or StoreUnavailable."""
        await self.settle(store)
        self._compare(await store.positions(), {})

    def _compare(self, stored: Mapping[TopicPartition, int], in_doubt: Mapping[TopicPartition, int]) -> None:
        for place in sorted(self._written.union(in_doubt, self._assigned)):
            now, left = stored.get(place), self._held.get(place)
            if now not in {left, in_doubt.get(place, left)}:
                raise PositionMoved(f"{place.topic}/{place.partition}: stored {now}, left {left}")
