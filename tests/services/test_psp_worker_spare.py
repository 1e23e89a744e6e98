"""Refreshes and replays wait for the lower share of the pace, and nothing live waits for them."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace

import pytest

from payonce.domain.events import TokenIssued
from payonce.ports import Record
from services.psp_worker.assembly import Worker
from services.psp_worker.caller import Caller
from services.psp_worker.psp import Psp
from services.psp_worker.resting import Rests
from services.psp_worker.slots import Slot, Slots
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.orders import refresh
from tests.fakes.psp_worker import World, opened, partition, records, settled
from tests.fakes.registrations import register

LONG = 23 * 3600


async def paid(world: World, worker: Worker, count: int) -> None:
    for number in range(count):
        command = register(f"old-{number}", life_seconds=LONG)
        await world.handle(command, worker=worker)
        world.gateway.pay(str(world.row(command).session_id))


def replayed(record: Record) -> Record:
    return replace(record, headers=(*record.headers, ("replay-for", b"psp_worker")))


def has_token(world: World, reference: str) -> bool:
    order_id = register(reference).order_id
    return any(isinstance(each, TokenIssued) and each.order_id == order_id for each in world.outcomes())


def said(world: World, kind: type) -> int:
    return sum(isinstance(each, kind) for each in world.outcomes())


@pytest.mark.parametrize("kind", ["refreshes", "replays"])
def test_a_live_order_behind_hundreds_that_wait_for_the_lower_share_is_registered_at_once(kind: str) -> None:
    """There are 128 slots, and all that is spare leaves at five calls a second; all of it is carried out in the end."""
    world = World()
    world.gateway.latency_seconds = 0.2

    async def scenario() -> float:
        worker, _ = await opened(world)
        if kind == "refreshes":
            await paid(world, worker, 400)
            spare = records(refresh(f"old-{number}") for number in range(400))
        else:
            spare = [replayed(each) for each in records(register(f"dead-{i}", life_seconds=LONG) for i in range(400))]
        live = records([register("new", life_seconds=LONG)], start=400)
        before, began = len(world.log.published), asyncio.get_running_loop().time()
        worker.intake.received([*spare, *live])
        await settled(lambda: has_token(world, "new"))
        took = asyncio.get_running_loop().time() - began
        await settled(lambda: len(world.log.published) == before + 401)
        return took

    assert simulated(scenario()) < 1
    assert world.dead_letters() == []


def test_when_partitions_are_taken_a_spare_call_on_its_way_is_waited_for_and_one_in_line_is_not() -> None:
    """What has left may move money: its answer is written down. What waits for its turn would wait for minutes."""
    world = World()

    async def scenario() -> float:
        worker, _ = await opened(world)
        world.gateway.latency_seconds = 3
        dead = records(register(f"dead-{number}", life_seconds=LONG) for number in range(40))
        worker.intake.received([replayed(each) for each in dead])
        await asyncio.sleep(1)
        left = len(world.gateway.calls)
        assert 1 <= left < 40
        began = asyncio.get_running_loop().time()
        await worker.intake.revoked([partition()])
        assert len(world.gateway.calls) == left, "nothing leaves any more"
        assert said(world, TokenIssued) == left
        return asyncio.get_running_loop().time() - began

    assert simulated(scenario()) <= 3.1


def test_a_spare_call_has_its_slot_again_before_anything_is_made_of_its_answer() -> None:
    """A failure's answer, too: what follows it reads and writes PostgreSQL."""
    world = World()
    held: list[bool] = []

    async def scenario() -> None:
        worker = world.worker()
        slots = Slots(1)
        slot = slots.take()

        async def send() -> None:
            held.append(slots.free == 0)
            await world.gateway.canary(api_version="x")

        world.gateway.troubles_in["canary"] = deque([Trouble("rate_limited")])
        psp = Psp(
            world.gateway, world.ledger, worker.pacer, worker.holds, world.clock, float, Rests(world.clock, float)
        )
        with Caller(psp, slot, order_id="mine", spare=True) as caller:
            for _ in range(2):
                await caller.ask("reads", send)
                held.append(slots.free == 0)

    simulated(scenario())
    assert held == [False, False, True, False, True]


def test_work_that_fails_while_its_slot_is_given_back_takes_one_again() -> None:
    async def scenario() -> None:
        slots = Slots(1)
        slot: Slot = slots.take()
        with pytest.raises(ValueError, match="broken"):
            async with slot.given_back():
                raise ValueError("broken")
        assert slots.free == 0
        assert not slot.waiting
        slot.close()
        assert slots.free == 1

    simulated(scenario())
