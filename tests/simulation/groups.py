"""Consumer groups in memory: members come, go, die and freeze; partitions move; offsets are committed by their owners.

Eager: everybody lets go of everything, then all is given out anew. Cooperative: only what moves is taken away. A member
that is silent for longer than its session is thrown out; it finds out when it comes back, and joins again.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

from payonce.ports import PublishFailed, TopicPartition
from tests.simulation.log import PARTITIONS, Log
from tests.simulation.scheduler import Incarnation, VirtualLoop

SESSION_SECONDS = 10.0
_REBALANCE_SECONDS = 60.0


class Member(Protocol):
    """One consumer, as its group sees it."""

    owner: Incarnation

    @property
    def is_busy(self) -> bool:
        """Whether it has something to read or in hand, which may lie below what the group has committed."""
        ...

    async def revoke(self, partitions: Sequence[TopicPartition]) -> None:
        """Let go of partitions (asked within the member's process)."""
        ...

    async def assign(self, partitions: Sequence[TopicPartition], generation: int) -> None:
        """Take partitions over (asked within the member's process)."""
        ...

    async def lose(self) -> None:
        """Find out that the group has gone on without it (asked within the member's process)."""
        ...

    def wake(self) -> None:
        """There may be something to read."""
        ...


class Group:
    """One consumer group and its coordinator."""

    def __init__(
        self, name: str, topics: Sequence[str], log: Log, loop: VirtualLoop, rng: random.Random, *, is_eager: bool
    ) -> None:
        self.name = name
        self.committed: dict[TopicPartition, int] = {}
        self.generation = 0
        self.owners: dict[TopicPartition, Member] = {}
        self.places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        self.log = log
        self._loop = loop
        self._rng = rng
        self._is_eager = is_eager
        self._members: list[Member] = []
        self._rebalancing: asyncio.Task[None] | None = None
        self._is_stale = False
        self._returning: list[Member] = []
        log.listeners.append(lambda record: self._wake(record.topic_partition))

    @property
    def is_settled(self) -> bool:
        """Whether nothing moves and everything has been read to its end."""
        return (
            self._rebalancing is None
            and not any(member.owner.is_alive for member in self._returning)
            and not any(member.is_busy for member in self._members)
            and all(
                self.committed.get(place, 0) >= self.log.end(place) and place in self.owners for place in self.places
            )
        )

    def lag(self) -> int:
        """Return how many records are not committed."""
        return sum(max(0, self.log.end(place) - self.committed.get(place, 0)) for place in self.places)

    def join(self, member: Member) -> None:
        """Take a member in."""
        if member.owner.is_alive and member not in self._members:
            self._members.append(member)
            self._rebalance()

    def leave(self, member: Member) -> None:
        """Let a member go, or throw it out."""
        if member in self._members:
            self._members.remove(member)
            self.owners = {place: owner for place, owner in self.owners.items() if owner is not member}
            self._rebalance()

    def silent(self, member: Member) -> None:
        """Note that a member may have fallen silent: it is thrown out when its session is over."""
        since = self._loop.time()
        self._loop.later(SESSION_SECONDS, self._expel, member, since)

    def commit(self, member: Member, offsets: Mapping[TopicPartition, int], generation: int | None = None) -> None:
        """Commit offsets. Raises PublishFailed (the group does not take them) from whoever does not own them.

        `generation`: where everything is given out anew in each, the one in which they were read.
        """
        if not self.log.is_up:
            raise PublishFailed("the coordinator is away")
        is_stale = generation not in {None, self.generation}
        if is_stale or any(self.owners.get(place) is not member for place in offsets):
            raise PublishFailed("ILLEGAL_GENERATION")
        self.committed.update(offsets)

    def reset(self) -> None:
        """Go back to the beginning; as Kafka's tool, only while the group has no members."""
        if not self._members:
            self.committed = dict.fromkeys(self.committed, 0)

    def wake_all(self) -> None:
        """Let everybody look: the log is back."""
        for member in self._members:
            member.wake()

    def _wake(self, place: TopicPartition) -> None:
        owner = self.owners.get(place)
        if owner is not None:
            owner.wake()

    def _expel(self, member: Member, since: float) -> None:
        owner = member.owner
        if member not in self._members or owner.state == "running":
            return
        if owner.state == "frozen" and owner.frozen_at > since:
            return
        self._throw_out(member)

    def _throw_out(self, member: Member) -> None:
        """Go on without a member; if it lives, it will find out and join anew."""
        self.leave(member)
        if member.owner.is_alive:
            self._returning.append(member)
            member.owner.start(self._come_back(member))

    async def _come_back(self, member: Member) -> None:
        """Runs once the frozen member is revived: its next heartbeat tells it, and it joins anew."""
        await asyncio.sleep(self._rng.uniform(0.0, 3.0))
        await member.lose()
        self._returning.remove(member)
        self.join(member)

    # -- rebalances

    def _rebalance(self) -> None:
        self._is_stale = True
        if self._rebalancing is None:
            self._rebalancing = self._loop.create_task(self._until_settled(), context=contextvars.Context())

    async def _until_settled(self) -> None:
        while self._is_stale:
            self._is_stale = False
            await asyncio.sleep(self._rng.uniform(0.05, 2.0))
            await (self._eagerly() if self._is_eager else self._cooperatively())
        self._rebalancing = None

    async def _eagerly(self) -> None:
        members = list(self._members)
        await self._ask_all([(member, member.revoke(self._owned_by(member))) for member in members])
        members = [member for member in members if member in self._members]
        self.generation += 1
        self.owners = self._target(members)
        await self._ask_all([(member, member.assign(self._owned_by(member), self.generation)) for member in members])

    async def _cooperatively(self) -> None:
        members = list(self._members)
        target = self._target(members)
        moving = [(m, [p for p in self._owned_by(m) if target.get(p) is not m]) for m in members]
        await self._ask_all([(member, member.revoke(places)) for member, places in moving if places])
        for _, places in moving:
            for place in places:
                self.owners.pop(place, None)
        self.generation += 1
        gained = [
            (m, [p for p in self.places if target.get(p) is m and p not in self.owners])
            for m in members
            if m in self._members
        ]
        for member, places in gained:
            self.owners.update(dict.fromkeys(places, member))
        await self._ask_all([(m, m.assign(places, self.generation)) for m, places in gained if places])

    def _target(self, members: Sequence[Member]) -> dict[TopicPartition, Member]:
        """Return who shall own what: evenly, and what need not move stays."""
        if not members:
            return {}
        most = -(-len(self.places) // len(members))
        load = dict.fromkeys(range(len(members)), 0)
        target: dict[TopicPartition, Member] = {}
        for place in self.places:
            owner = self.owners.get(place)
            if owner is not None and owner in members and load[members.index(owner)] < most and not self._is_eager:
                target[place] = owner
                load[members.index(owner)] += 1
        shift = self._rng.randrange(len(members))
        for place in self.places:
            if place not in target:
                least = min(load, key=lambda i: (load[i], (i + shift) % len(members)))
                target[place] = members[least]
                load[least] += 1
        return target

    def _owned_by(self, member: Member) -> list[TopicPartition]:
        return [place for place in self.places if self.owners.get(place) is member]

    async def _ask_all(self, questions: Sequence[tuple[Member, Coroutine[Any, Any, None]]]) -> None:
        """Ask members within their processes; who does not answer in time is thrown out."""
        asked = [(member, member.owner.start(question)) for member, question in questions]
        until = self._loop.time() + _REBALANCE_SECONDS
        for member, answer in asked:
            while not answer.done() and member in self._members and self._loop.time() < until:
                await _either(answer)
            if not answer.done() and member in self._members:
                self._throw_out(member)


async def _either(answer: asyncio.Task[None]) -> None:
    """Wait for an answer, but look up now and then: the member may have been thrown out."""
    await asyncio.wait([answer], timeout=0.25)
