"""An hour without the PSP while orders go on coming, and three workers that share what it then allows."""

from __future__ import annotations

import asyncio
import bisect
from collections import defaultdict, deque
from dataclasses import dataclass, field

from payonce.domain.events import TokenIssued
from payonce.ports import Record
from services.psp_worker.assembly import Worker
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.log import command_record
from tests.fakes.psp_worker import PARTITIONS, FakeMember, World, partition, settled
from tests.fakes.registrations import register

HOUR = 3600
LIMIT, TOTAL = 25, 25
#: What the workers take of the limit when all of them have enough to do.
PACE = 0.8 * LIMIT
WORKERS = 3


@dataclass
class Consumer:
    """One worker of the group and its part of the log; what is paused is not delivered."""

    worker: Worker
    member: FakeMember
    unread: dict[int, deque[Record]] = field(default_factory=dict)

    def deliver(self) -> None:
        for number, waiting in self.unread.items():
            if waiting and partition(number) not in self.member.paused:
                self.worker.intake.received([waiting.popleft() for _ in range(min(500, len(waiting)))])


async def group(world: World) -> list[Consumer]:
    """Three workers that hold four partitions each."""
    consumers = []
    for number in range(WORKERS):
        worker, member = world.worker(limit_per_second=LIMIT), FakeMember()
        worker.intake.attach(member)
        mine = range(number, PARTITIONS, WORKERS)
        worker.intake.assigned({partition(each): None for each in mine})
        await settled(lambda member=member: len(member.opened) == PARTITIONS // WORKERS)
        consumers.append(Consumer(worker, member, {each: deque() for each in mine}))
    return consumers


def busiest_second(times: list[float]) -> int:
    ordered = sorted(times)
    return max((bisect.bisect_left(ordered, at + 1 - 1e-6) - i for i, at in enumerate(ordered)), default=0)


def test_after_an_hour_without_the_psp_three_workers_drain_within_the_budget() -> None:
    """No dead letter, consumption paused, nobody over the limit in any one second, done as soon as that allows."""
    world, came = World(), 0

    async def scenario() -> None:
        nonlocal came
        consumers = await group(world)
        world.gateway.away = Trouble("transient")
        for second in range(HOUR):
            number = came % PARTITIONS
            record = command_record(register(f"A-{came}", life_seconds=23 * HOUR), partition=number, offset=came)
            consumers[number % WORKERS].unread[number].append(record)
            came += 1
            for consumer in consumers:
                consumer.deliver()
            await asyncio.sleep(1)
            if second > 300:
                assert all(len(consumer.member.paused) == 4 for consumer in consumers)
        world.gateway.away = None
        back_at = asyncio.get_running_loop().time()
        while len(world.ledger.registrations) < came or len(world.outcomes()) < came:
            for consumer in consumers:
                consumer.deliver()
            await asyncio.sleep(1)
        took = asyncio.get_running_loop().time() - back_at
        assert took <= came / PACE * 1.25 + 60, took

    simulated(scenario())
    assert {type(outcome) for outcome in world.outcomes()} == {TokenIssued}
    assert world.dead_letters() == []
    by_operation = defaultdict[str, list[float]](list)
    for at, operation in world.gateway.asked:
        by_operation[operation].append(at)
    assert {name: n for name, times in by_operation.items() if (n := busiest_second(times)) > LIMIT} == {}
    assert busiest_second([at for at, _ in world.gateway.asked]) <= TOTAL
