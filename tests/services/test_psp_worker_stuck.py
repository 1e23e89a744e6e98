"""One call of one order fails, and the looks between its tries succeed: who is left to people, and who never is."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque

import pytest

from payonce.domain.commands import CancelPayment, CancelSubscription, Command
from payonce.domain.events import AttemptCancelled, PspSnapshot, SubscriptionCancelAccepted
from services.psp_worker.assembly import Worker
from services.psp_worker.breaker import Breakers
from services.psp_worker.failing import Failing
from services.psp_worker.outcome import not_found
from services.psp_worker.request import registration_request
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.happenings import stop_while_unknown
from tests.fakes.orders import cancel, cancel_subscription, refresh
from tests.fakes.psp_worker import World, settled
from tests.fakes.registrations import register
from tests.fakes.subscribers import subscribed

MINUTE, HOUR = 60.0, 3600.0
LONG = 23 * 3600
FIRST, SECOND = register(life_seconds=LONG), register(attempt=2, life_seconds=LONG)
AWAY, REFUSED = Trouble("transient", http_status=500), Trouble("permanent", http_status=400)
FORBIDDEN = Trouble("configuration", http_status=403)


async def others_register(world: World, worker: Worker) -> None:
    for number in itertools.count():
        await world.handle(register(f"other-{number}", life_seconds=LONG), worker=worker)
        await asyncio.sleep(5)


async def given_up_after(world: World, command: Command, worker: Worker | None = None) -> float:
    """Handle the command while others succeed; return after how many seconds it is finished."""
    worker = worker or world.worker()
    others = asyncio.ensure_future(others_register(world, worker))
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(2 * HOUR):
        await world.handle(command, worker=worker)
    others.cancel()
    return asyncio.get_running_loop().time() - began


def for_ever(world: World, operation: str, trouble: Trouble) -> None:
    world.gateway.troubles_in[operation] = deque([trouble] * 100_000)


def times(world: World, operation: str) -> int:
    return sum(name == operation for _, name in world.gateway.asked)


def said(world: World, kind: type) -> int:
    return sum(isinstance(each, kind) for each in world.outcomes())


@pytest.mark.parametrize("trouble", [AWAY, REFUSED, FORBIDDEN], ids=lambda trouble: trouble.kind)
@pytest.mark.parametrize("command", [cancel(), SECOND], ids=["a cancellation", "a new attempt"])
def test_an_open_session_that_cannot_be_expired_is_left_to_people(command: Command, trouble: Trouble) -> None:
    """Also where the PSP refuses in its own words what it shows as possible. It stays open, and nothing follows it."""
    world = World()

    async def scenario() -> float:
        await world.handle(FIRST)
        for_ever(world, "expire", trouble)
        return await given_up_after(world, command)

    assert 10 * MINUTE <= simulated(scenario()) <= 11.5 * MINUTE
    assert world.dead_letters() == ["retries_exhausted"]
    assert world.row(FIRST).state == "open"
    assert said(world, AttemptCancelled) == 0
    assert list(world.ledger.registrations[FIRST.order_id]) == [1], "no second page beside one that can be paid"
    assert times(world, "expire") < 40, "the tries grow rarer, whatever the looks between them say"


def test_a_subscription_that_cannot_be_cancelled_is_left_to_people() -> None:
    world = World()

    async def scenario() -> float:
        await subscribed(world)
        for_ever(world, "cancel_subscription", AWAY)
        return await given_up_after(world, cancel_subscription())

    assert 10 * MINUTE <= simulated(scenario()) <= 11.5 * MINUTE
    assert world.dead_letters() == ["retries_exhausted"]
    assert said(world, SubscriptionCancelAccepted) == 0
    assert times(world, "cancel_subscription") < 40


def test_a_session_born_late_that_cannot_be_expired_leaves_its_refresh_to_people() -> None:
    world = World()

    async def scenario() -> None:
        await stop_while_unknown(world)
        await asyncio.sleep(331)
        await world.handle(register())
        world.gateway.bear(registration_request(register()))
        for_ever(world, "expire", AWAY)
        await given_up_after(world, refresh())

    simulated(scenario())
    assert world.dead_letters() == ["retries_exhausted"]
    assert said(world, PspSnapshot) == 0


def test_a_session_that_the_ledger_does_not_know_and_that_stays_open_is_told_to_people() -> None:
    """A frozen process got its answer when its row had been settled: no outcome must hide what can still be paid."""
    world = World()
    world.gateway.latency_seconds = 2

    async def scenario() -> None:
        for_ever(world, "expire", AWAY)
        frozen = asyncio.ensure_future(given_up_after(world, register()))
        await settled(lambda: world.ledger.registrations.get(register().order_id))
        row = world.row(register())
        failed = not_found(row, began_after=331, now=world.clock.now())
        await world.ledger.settle(failed, expected=("calling",))
        await frozen

    simulated(scenario())
    assert world.dead_letters() == ["retries_exhausted"]
    assert not [each for each in world.outcomes() if getattr(each, "order_id", "") == register().order_id]


@pytest.mark.parametrize("command", [cancel(), cancel_subscription()], ids=["expire", "cancel_subscription"])
def test_what_works_again_within_ten_minutes_is_carried_out(command: CancelPayment | CancelSubscription) -> None:
    world = World()
    operation = "expire" if isinstance(command, CancelPayment) else "cancel_subscription"

    async def scenario() -> None:
        await (world.handle(FIRST) if operation == "expire" else subscribed(world))
        for_ever(world, operation, AWAY)
        handling = asyncio.ensure_future(given_up_after(world, command))
        await asyncio.sleep(9 * MINUTE)
        world.gateway.troubles_in.clear()
        assert await handling < 10 * MINUTE

    simulated(scenario())
    assert world.dead_letters() == []
    assert said(world, AttemptCancelled) + said(world, SubscriptionCancelAccepted) == 1


@pytest.mark.parametrize("trouble", [AWAY, FORBIDDEN], ids=lambda trouble: trouble.kind)
def test_while_nobody_can_expire_anything_no_cancellation_is_given_up(trouble: Trouble) -> None:
    """Their looks and everybody's registrations succeed: it is the endpoint's trouble all the same."""
    world, count = World(), 6

    async def scenario() -> None:
        worker = world.worker()
        for number in range(count):
            await world.handle(register(f"A-{number}", life_seconds=LONG), worker=worker)
        for_ever(world, "expire", trouble)
        others = asyncio.ensure_future(others_register(world, worker))
        waiting = [asyncio.ensure_future(world.handle(cancel(f"A-{i}"), worker=worker)) for i in range(count)]
        await asyncio.sleep(HOUR)
        world.gateway.troubles_in.clear()
        await asyncio.gather(*waiting)
        others.cancel()

    simulated(scenario())
    allowed = 2 if trouble is FORBIDDEN else 0  # who were refused before a third order was
    assert len(world.dead_letters()) <= allowed
    assert said(world, AttemptCancelled) >= count - allowed


def test_an_hour_in_which_nobody_could_look_between_two_tries_is_not_held_against_one() -> None:
    """Others expire theirs meanwhile; this one was not tried again before it could be looked at."""
    breakers = Breakers()
    failing = Failing(breakers, "mine")
    looks, expiries = breakers.of("sessions.retrieve"), breakers.of("sessions.expire")
    with failing.one_aim():
        failing.failed("sessions.expire", 0.0)
        for second in range(10, 3600, 10):
            expiries.succeeded(float(second))
            looks.failed(f"order {second % 3}")
            failing.failed("sessions.retrieve", float(second))
            assert not failing.is_stuck(float(second))
        looks.succeeded(3600.0)
        failing.succeeded()
        failing.failed("sessions.expire", 3601.0)
        assert not failing.is_stuck(3601.0)
        looks.succeeded(4200.0)
        assert failing.is_stuck(4201.0)


def test_what_is_done_leaves_no_failures_behind_for_the_next_call_of_the_same_command() -> None:
    """The answer to an expiry was lost, and the look showed it closed; an hour later another call fails for once."""
    breakers = Breakers()
    failing = Failing(breakers, "mine")
    with failing.one_aim():
        failing.failed("sessions.expire", 0.0)
        failing.succeeded()
    for second in range(0, 3600, 5):
        breakers.of("reads").succeeded(float(second))
    failing.failed("reads", 3600.0)
    breakers.of("reads").succeeded(3605.0)
    assert failing.failures == 1
    assert not failing.is_stuck(3605.0)
    assert failing.is_stuck(4200.0)


def test_replaying_what_was_left_to_people_cancels_it_once_the_cause_is_gone() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        for_ever(world, "expire", REFUSED)
        await given_up_after(world, cancel())
        world.gateway.troubles_in.clear()
        await world.handle(cancel())
        await world.handle(SECOND)

    simulated(scenario())
    assert said(world, AttemptCancelled) == 1
    assert [world.row(FIRST).state, world.row(SECOND).state] == ["expired", "open"]
    mine = [each for each in world.gateway.open_sessions() if each.metadata["order_id"] == FIRST.order_id]
    assert [each.metadata["attempt"] for each in mine] == ["2"]
