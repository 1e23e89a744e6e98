"""What is done with a batch that the consumer took: fold it, wait out an outage, or let go of it at a rebalance.

A batch is acknowledged whole or not at all. Nothing but PositionMoved, RecordsPassedOver, LogAway and bugs leaves
`handle` as an exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from payonce.ports import Clock, PublishFailed, Record, StoreUnavailable, TopicPartition
from services.status_processor.fold import Fold
from services.status_processor.succession import HoldsRecords, RecordsPassedOver, Succession

log = structlog.get_logger()

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
#: How soon a waiting worker notices a rebalance.
_SLICE_SECONDS = 0.05
#: Two minutes: the group waits for its members for one, and positions to begin at are there in half of one.
_MOST_LOOKS_WHILE_LEAVING = 24


class Membership(Protocol):
    """This process's standing in the consumer group."""

    @property
    def generation(self) -> int:
        """The group's generation of which we hold an assignment."""
        ...

    @property
    def is_leaving(self) -> bool:
        """Whether a rebalance or a stop is under way: what we hold will be given to someone."""
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """A record, and the generation in which it was handed to us."""

    record: Record
    generation: int


class Batches:
    """Handles one batch at a time."""

    def __init__(self, fold: Fold, clock: Clock, membership: Membership, holds_records: HoldsRecords) -> None:
        self._fold = fold
        self._succession = Succession(holds_records)
        self._clock = clock
        self._membership = membership
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_held_up = False
        self._looks_while_leaving = 0

    def begin(self, starts: Mapping[TopicPartition, int]) -> None:
        """Expect an assignment's partitions to be handed over from these offsets on, without a gap."""
        self._succession.begin(starts)

    async def handle(self, batch: Sequence[Delivered]) -> Sequence[bool]:
        """Return which of the batch to acknowledge, once they are durable; the others come again.

        While PostgreSQL or Kafka is away it waits, but at a rebalance or a stop it lets go within 50 ms plus the
        running statement. Raises PositionMoved; before anything is folded, RecordsPassedOver and LogAway.
        """
        generation = self._membership.generation
        if self._membership.is_leaving:
            return [False] * len(batch)
        current = [each.generation == generation for each in batch]
        records = [each.record for each, is_current in zip(batch, current, strict=True) if is_current]
        self._idle.clear()
        try:
            await self._require_succession(records, generation)
            folded = self._is_ours(generation) and (not records or await self._fold_patiently(records, generation))
        finally:
            self._idle.set()
        if not folded or self._membership.generation != generation:
            return [False] * len(batch)
        self._succession.done(records)
        return current

    async def look(self, ends: Mapping[TopicPartition, int]) -> None:
        """Notice that nothing is handed over any more of partitions whose log ends there. Call it every 5 s or so.

        Raises RecordsPassedOver, also for a rebalance that has no end, and LogAway.
        """
        self._looks_while_leaving = self._looks_while_leaving + 1 if self._membership.is_leaving else 0
        if self._looks_while_leaving > _MOST_LOOKS_WHILE_LEAVING:
            raise RecordsPassedOver("the group has our membership, and nothing is handed over to us")
        if self.is_held_up or self._membership.is_leaving:
            self._succession.forget_looks()
        elif not self.is_busy:
            await self._look(ends)

    @property
    def is_busy(self) -> bool:
        """Whether a batch is in progress."""
        return not self._idle.is_set()

    async def wait_until_idle(self, seconds: float) -> bool:
        """Return whether no batch is in progress, after at most that long."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _look(self, ends: Mapping[TopicPartition, int]) -> None:
        try:
            await self._succession.look(ends)
        except RecordsPassedOver:
            if not self._membership.is_leaving:
                raise  # else a rebalance has begun while the log was asked, after which all is read again

    async def _require_succession(self, records: Sequence[Record], generation: int) -> None:
        try:
            await self._succession.require(records)
        except RecordsPassedOver:
            if self._is_ours(generation):
                raise

    def _is_ours(self, generation: int) -> bool:
        return not self._membership.is_leaving and self._membership.generation == generation

    async def _fold_patiently(self, records: Sequence[Record], generation: int) -> bool:
        pause = _FIRST_PAUSE_SECONDS
        try:
            while True:
                try:
                    await self._fold.run_once(records)
                except (StoreUnavailable, PublishFailed) as error:
                    log.warning("the fold waits", error=str(error), records=len(records), pause_seconds=pause)
                else:
                    return True
                self.is_held_up = True
                if not await self._pause(pause, generation):
                    log.info("let go of a batch", records=len(records))
                    return False
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        finally:
            self.is_held_up = False

    async def _pause(self, seconds: float, generation: int) -> bool:
        """Return whether the partitions are still ours after the pause."""
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until:
            if not self._is_ours(generation):
                return False
            await self._clock.sleep(_SLICE_SECONDS)
        return self._is_ours(generation)
