"""One endpoint of the PSP fails or refuses us while the others answer: it rests, and the others go on."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque

from payonce.domain.events import RefundAccepted, RegistrationFailed, TokenIssued
from services.psp_worker.assembly import Worker
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.orders import refund
from tests.fakes.psp_worker import World, opened, records, settled
from tests.fakes.registrations import register

MINUTE, HOUR = 60.0, 3600.0
LONG = 23 * 3600


async def paid(world: World, worker: Worker, reference: str) -> None:
    command = register(reference, life_seconds=LONG)
    await world.handle(command, worker=worker)
    session = world.row(command).session_id
    assert session is not None
    world.gateway.pay(session)


def made(world: World, kind: type) -> int:
    return sum(isinstance(each, kind) for each in world.outcomes())


def calls_of(world: World, operation: str) -> int:
    return sum(name == operation for _, name in world.gateway.asked)


def test_registrations_that_fail_for_an_hour_while_refunds_succeed_are_not_given_up() -> None:
    """Others succeed, but nobody at this endpoint: it is the PSP's trouble, not these orders'."""
    world = World()

    async def scenario() -> None:
        worker, _ = await opened(world)
        for number in range(40):
            await paid(world, worker, f"paid-{number}")
        world.gateway.troubles_in["register"] = deque([Trouble("transient")] * 100_000)
        worker.intake.received(records(register(f"A-{i}", life_seconds=LONG) for i in range(100)))
        await asyncio.sleep(MINUTE)
        before = calls_of(world, "register")
        for number in range(40):
            await world.handle(refund(f"paid-{number}"), worker=worker)
            await asyncio.sleep(90)
        assert made(world, RefundAccepted) == 40, "the other endpoints go on"
        assert calls_of(world, "register") - before < 150, "one at a time tries whether it works again"
        world.gateway.troubles_in["register"].clear()
        back_at = asyncio.get_running_loop().time()
        await settled(lambda: made(world, TokenIssued) == 140)
        assert asyncio.get_running_loop().time() - back_at < 2 * MINUTE

    simulated(scenario())
    assert world.dead_letters() == []


def test_while_one_endpoint_rests_the_commands_of_the_others_are_still_taken() -> None:
    world = World()

    async def scenario() -> None:
        worker, member = await opened(world)
        world.gateway.troubles_in["register"] = deque([Trouble("transient")] * 100_000)
        worker.intake.received(records(register(f"A-{i}", life_seconds=LONG) for i in range(300)))
        await asyncio.sleep(MINUTE)
        held = 0
        for _ in range(600):
            held += bool(member.paused)
            await asyncio.sleep(1)
        assert held == 0, "consumption does not flap"
        assert not worker.intake.failed.done()

    simulated(scenario())


def test_a_key_without_the_right_to_refund_lets_registrations_pass_and_gives_no_refund_up() -> None:
    world = World()

    async def scenario() -> None:
        worker, member = await opened(world)
        for number in range(30):
            await paid(world, worker, f"paid-{number}")
        world.gateway.troubles_in["refund"] = deque([Trouble("configuration", http_status=403)] * 100_000)
        worker.intake.received(records(refund(f"paid-{i}") for i in range(30)))
        for number in range(30):
            await world.handle(register(f"A-{number}"), worker=worker)
            await asyncio.sleep(20)
        assert made(world, TokenIssued) == 60
        assert len(world.dead_letters()) <= 2
        world.gateway.troubles_in["refund"].clear()
        await settled(lambda: made(world, RefundAccepted) >= 28)
        assert member.paused == frozenset()

    simulated(scenario())
    assert len(world.dead_letters()) <= 2


def test_a_few_orders_that_the_psp_refuses_for_ever_do_not_keep_the_others_out() -> None:
    """Three refusals in a row look like our configuration; whoever comes next finds out that it is not."""
    world = World()
    bad = [register(f"bad-{number}", life_seconds=LONG) for number in range(4)]
    for command in bad:
        key = f"{command.order_id}:register:1"
        world.gateway.troubles_of[key] = deque([Trouble("configuration", http_status=403)] * 1_000)

    async def scenario() -> None:
        worker, _ = await opened(world)
        worker.intake.received(records(bad))
        await asyncio.sleep(5 * MINUTE)
        for number in itertools.count():
            came_at = asyncio.get_running_loop().time()
            await world.handle(register(f"good-{number}"), worker=worker)
            assert asyncio.get_running_loop().time() - came_at < MINUTE
            await asyncio.sleep(MINUTE)
            if made(world, RegistrationFailed) == len(bad):
                return
            assert number < 10, "what was tried more than once is proven absent after some minutes"

    simulated(scenario())
    assert set(world.dead_letters()) == {"psp_refused"}


def test_a_single_order_that_fails_alone_at_its_endpoint_is_left_to_people() -> None:
    """No other order fails there, and the PSP answers elsewhere: after ten minutes it is this order's own trouble."""
    world = World()

    async def scenario() -> float:
        worker, _ = await opened(world)
        await paid(world, worker, "alone")
        world.gateway.troubles_in["refund"] = deque([Trouble("transient")] * 1_000)
        began = asyncio.get_running_loop().time()
        others = asyncio.ensure_future(registrations(world, worker))
        await world.handle(refund("alone"), worker=worker)
        others.cancel()
        return asyncio.get_running_loop().time() - began

    assert 10 * MINUTE <= simulated(scenario()) <= 12 * MINUTE
    assert world.dead_letters() == ["retries_exhausted"]


async def registrations(world: World, worker: Worker) -> None:
    for number in itertools.count():
        await world.handle(register(f"other-{number}", life_seconds=LONG), worker=worker)
        await asyncio.sleep(5)


def test_an_outage_while_our_credentials_are_refused_ends_when_both_are_over() -> None:
    """Whoever may try the endpoint must not sit on that place while another finds out whether our key is good again."""
    world = World()
    said = itertools.cycle([*[Trouble("transient")] * 5, *[Trouble("configuration", http_status=401)] * 2])

    async def scenario() -> None:
        worker, _ = await opened(world)
        world.gateway.troubles_in["register"] = deque(itertools.islice(said, 100_000))
        world.gateway.troubles_in["canary"] = deque(itertools.islice(said, 100_000))
        worker.intake.received(records(register(f"A-{i}", life_seconds=LONG) for i in range(12)))
        await asyncio.sleep(5 * MINUTE)
        world.gateway.troubles_in.clear()
        await settled(lambda: made(world, TokenIssued) == 12)

    simulated(scenario())
    assert world.dead_letters() == []
