"""psp_worker's place in its group: subscription.GroupMember as the real consumer thread behaves, without the thread."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from payonce.ports import PublishFailed, TopicPartition
from payonce.subscription import Subscriber
from tests.simulation.groups import Group
from tests.simulation.network import Network
from tests.simulation.scheduler import Incarnation

_REBALANCE_SECONDS = 12.0
_POLL_SECONDS = 0.1
_RETRY_SECONDS = 0.5
_BATCH = 8


class WorkerMember:
    """Implements subscription.GroupMember and groups.Member. `failed` is told what must end the process."""

    def __init__(
        self,
        group: Group,
        subscriber: Subscriber,
        network: Network,
        *,
        rng: random.Random,
        owner: Incarnation,
        failed: Callable[[BaseException], None],
    ) -> None:
        self.owner = owner
        self._group = group
        self._subscriber = subscriber
        self._network = network
        self._rng = rng
        self._failed = failed
        self._assigned: dict[TopicPartition, int] = {}  # where to read next
        self._unopened: dict[TopicPartition, None] = {}
        self._opens: deque[tuple[TopicPartition, int | None]] = deque()
        self._paused: frozenset[TopicPartition] = frozenset()
        self._commits: dict[TopicPartition, int] = {}
        self._is_awake = False
        self._is_busy = False  # in a rebalance: the poll does not return before it is over
        self._connection = asyncio.Lock()  # requests to the coordinator do not overtake each other
        self._callback = asyncio.Lock()  # one thread hears of rebalances: what it hears first, it ends first

    @property
    def is_busy(self) -> bool:
        is_reading = any(offset < self._group.log.end(place) for place, offset in self._assigned.items())
        return self._is_busy or is_reading or bool(self._unopened)

    def last_poll_at(self) -> float:
        """Return when it last came back from the log: now, but for the first moments after a freeze."""
        now, owner = self._network.loop.time(), self.owner
        return owner.frozen_at if now - owner.revived_at < _POLL_SECONDS else now

    # -- what the subscriber asks for

    def open(self, partition: TopicPartition, offset: int | None) -> None:
        self._opens.append((partition, offset))
        self.wake()

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        self._paused = partitions
        self.wake()

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._commits.update(offsets)
        self.wake()

    # -- what the group asks for

    def wake(self) -> None:
        if not self._is_awake and self.owner.is_alive:
            self._is_awake = True
            context = self.owner.context.copy()
            self._network.loop.call_later(self._rng.uniform(0.0, 0.05), self._round, context=context)

    async def assign(self, partitions: Sequence[TopicPartition], generation: int) -> None:
        async with self._callback:
            committed = await self._network.call(
                self.owner, lambda: {p: self._group.committed.get(p) for p in partitions}
            )
            self._assigned.update({place: offset or 0 for place, offset in committed.items()})
            self._unopened.update(dict.fromkeys(committed))
            self._subscriber.assigned(committed)
            self.wake()

    async def revoke(self, partitions: Sequence[TopicPartition]) -> None:
        async with self._callback:
            held = [place for place in partitions if place in self._assigned]
            self._is_busy = True
            try:
                async with asyncio.timeout(_REBALANCE_SECONDS):
                    self._commits.update(await self._subscriber.revoked(held))
                await self._commit()
                self._drop(held)
            except Exception as error:  # noqa: BLE001  (it ends the thread, and that ends the process)
                self._failed(error)
            self._is_busy = False
            self.wake()

    async def lose(self) -> None:
        async with self._callback:
            held = list(self._assigned)
            await self._subscriber.lost(held)
            self._drop(held)

    # -- the poll loop

    def _round(self) -> None:
        self._is_awake = False
        if self._is_busy:
            return
        while self._opens:
            place, offset = self._opens.popleft()
            if place in self._unopened:
                self._unopened.pop(place)
                self._assigned[place] = self._assigned[place] if offset is None else offset
        if self._commits:
            self._network.loop.create_task(self._commit())
        self._read()

    def _read(self) -> None:
        for place in list(self._assigned):
            if place in self._unopened or place in self._paused:
                continue
            records = self._group.log.read(place, self._assigned[place], self._rng.randint(1, _BATCH))
            if records and self._group.log.is_up:
                self._assigned[place] = records[-1].offset + 1
                self._subscriber.received(records)
            if self._assigned[place] < self._group.log.end(place):
                self.wake()

    async def _commit(self) -> None:
        async with self._connection:
            commits, self._commits = self._commits, {}
            offsets = {place: offset for place, offset in commits.items() if place in self._assigned}
            if not offsets:
                return
            try:
                await self._network.call(self.owner, lambda: self._group.commit(self, offsets))
            except PublishFailed:
                self._commits = {**offsets, **self._commits}
                context = self.owner.context.copy()
                self._network.loop.call_later(_RETRY_SECONDS, self.wake, context=context)

    def _drop(self, partitions: Sequence[TopicPartition]) -> None:
        for place in partitions:
            self._assigned.pop(place, None)
            self._unopened.pop(place, None)
            self._commits.pop(place, None)
        self._opens = deque(each for each in self._opens if each[0] in self._assigned)
