"""status_processor's place in its group: what the Faust shell does around the fold, without Faust.

Micro-batches, acknowledged in order after `Batches.handle`; at a rebalance the batch in progress ends first, then
everything is read again from the committed offsets, or from where PostgreSQL is.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence

from payonce.ports import PublishFailed, Record, StoreUnavailable, TopicPartition
from services.status_processor.batches import Batches, Delivered
from services.status_processor.fold import Fold
from services.status_processor.succession import Hole
from tests.simulation.groups import Group
from tests.simulation.network import Network
from tests.simulation.scheduler import Incarnation, LoopClock

_BEFORE_REVOCATION_SECONDS = 15.0
_COMMIT_SECONDS = 0.5


class FoldMember:
    """Implements batches.Membership and groups.Member. `failed` is told what must end the process."""

    def __init__(
        self,
        group: Group,
        fold: Fold,
        clock: LoopClock,
        network: Network,
        *,
        rng: random.Random,
        owner: Incarnation,
        failed: Callable[[BaseException], None],
    ) -> None:
        self.owner = owner
        self.generation = 0
        self.is_leaving = True
        self.batches = Batches(fold, clock, self, _holds_records)
        self._fold = fold
        self._group = group
        self._network = network
        self._rng = rng
        self._failed = failed
        self._next: dict[TopicPartition, int] = {}
        self._buffer: deque[Delivered] = deque()
        self._acked: dict[TopicPartition, int] = {}
        self._arrived = asyncio.Event()
        self._is_committing = False
        self._connection = asyncio.Lock()  # requests to the coordinator do not overtake each other
        self._callback = asyncio.Lock()  # one task hears of rebalances: what it hears first, it ends first

    async def run(self) -> None:
        """Take batches for ever."""
        try:
            while True:
                await self._arrived.wait()
                await asyncio.sleep(self._rng.uniform(0.0, 0.02))
                self._fetch()
                batch = self._take()
                if batch:
                    await self._handle(batch)
        except Exception as error:  # noqa: BLE001  (Faust's crash: the process ends)
            self._failed(error)

    @property
    def is_busy(self) -> bool:
        is_reading = any(offset < self._group.log.end(place) for place, offset in self._next.items())
        return self.is_leaving or is_reading or bool(self._buffer) or self.batches.is_busy

    # -- what the group asks for

    def wake(self) -> None:
        if self.owner.is_alive:
            self._arrived.set()

    async def revoke(self, partitions: Sequence[TopicPartition]) -> None:
        async with self._callback:
            self.is_leaving = True
            await self.batches.wait_until_idle(_BEFORE_REVOCATION_SECONDS)
            self._fold.revoked()
            if self._rng.random() < 0.5:
                await self._commit()

    async def assign(self, partitions: Sequence[TopicPartition], generation: int) -> None:
        async with self._callback:
            group = self._group
            committed, ends = await self._network.call(
                self.owner,
                lambda: ({p: group.committed.get(p) for p in partitions}, {p: group.log.end(p) for p in partitions}),
            )
            self.generation = generation
            behind = {}
            try:
                behind = dict(await self._fold.assigned(committed, ends))
            except StoreUnavailable:
                pass
            except Exception as error:  # noqa: BLE001  (Faust's crash: the process ends)
                self._failed(error)
                return
            self._acked.clear()
            if self._rng.random() < 0.7:
                self._buffer.clear()
            self._next = {place: behind.get(place, offset or 0) for place, offset in committed.items()}
            self.batches.begin(self._next)
            self.is_leaving = False
            self._arrived.set()

    async def lose(self) -> None:
        async with self._callback:
            self.is_leaving = True
            await self.batches.wait_until_idle(_BEFORE_REVOCATION_SECONDS)
            self._fold.revoked()
            self._next.clear()

    # -- batches

    def _fetch(self) -> None:
        self._arrived.clear()
        if self.is_leaving or not self._group.log.is_up:
            return
        places = list(self._next)
        self._rng.shuffle(places)
        for place in places:
            records = self._group.log.read(place, self._next[place], self._rng.randint(1, 12))
            if records:
                self._next[place] = records[-1].offset + 1
                self._buffer.extend(Delivered(record, self.generation) for record in records)
            if self._next[place] < self._group.log.end(place):
                self._arrived.set()

    def _take(self) -> list[Delivered]:
        batch = [self._buffer.popleft() for _ in range(min(len(self._buffer), self._rng.randint(1, 20)))]
        if self._buffer:
            self._arrived.set()
        return batch

    async def _handle(self, batch: Sequence[Delivered]) -> None:
        verdicts = await self.batches.handle(batch)
        for delivered, is_done in zip(batch, verdicts, strict=True):
            if is_done:
                self._ack(delivered.record)
        if self._acked and not self._is_committing:
            self._is_committing = True
            self._network.loop.create_task(self._commit_soon())

    def _ack(self, record: Record) -> None:
        self._acked[record.topic_partition] = record.offset + 1

    async def _commit_soon(self) -> None:
        await asyncio.sleep(self._rng.uniform(0.0, _COMMIT_SECONDS))
        self._is_committing = False
        await self._commit()

    async def _commit(self) -> None:
        async with self._connection:
            generation = self.generation
            acked = {place: offset for place, offset in self._acked.items() if place in self._next}
            self._acked = {}
            if not acked:
                return
            try:
                await self._network.call(self.owner, lambda: self._group.commit(self, acked, generation))
            except PublishFailed:
                if generation != self.generation:
                    return
                self._acked = {**acked, **self._acked}
                if not self._is_committing and not self.is_leaving:
                    self._is_committing = True
                    self._network.loop.create_task(self._commit_soon())


async def _holds_records(hole: Hole) -> bool:
    """Every offset of the simulated log has its record."""
    return True
