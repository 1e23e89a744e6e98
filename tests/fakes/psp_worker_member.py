"""A PSP worker on in-memory ports that is a member of its group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.psp_worker.assembly import Worker
from tests.fakes.clock import simulated
from tests.fakes.psp_worker import FakeMember, World, partition, settled

Scenario = Callable[[World, Worker, FakeMember], Awaitable[None]]


def with_worker(scenario: Scenario, *, concurrency: int = 128) -> None:
    """Run the scenario on a worker that is attached to a fake member."""

    async def run() -> None:
        world, member = World(), FakeMember()
        worker = world.worker(concurrency=concurrency)
        worker.intake.attach(member)
        await scenario(world, worker, member)

    simulated(run())


async def opened(worker: Worker, member: FakeMember, *numbers: int, committed: int | None = None) -> None:
    """Assign these partitions of the commands, and wait until the worker reads them."""
    names = [partition(number) for number in numbers]
    member.opened.clear()
    worker.intake.assigned(dict.fromkeys(names, committed))
    await settled(lambda: all(name in member.opened for name in names))
