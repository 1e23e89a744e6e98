"""CancelPayment on in-memory ports: nothing is left to pay, whatever has happened to the attempt."""

from __future__ import annotations

import asyncio

import pytest

from payonce.domain.events import AttemptCancelled, CommandRejected
from services.psp_worker.request import registration_request
from tests.fakes.clock import simulated
from tests.fakes.happenings import FIRST, HAPPENINGS, SECOND, STATES, Happening, happen, stop_while_unknown, told
from tests.fakes.orders import cancel
from tests.fakes.psp_worker import World
from tests.fakes.registrations import register


@pytest.mark.parametrize("what", HAPPENINGS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_attempt_cannot_be_paid_unless_it_is_paid(what: Happening, times: int) -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        happen(world, what)
        for _ in range(times):
            await world.handle(cancel())

    simulated(scenario())
    answers = world.outcomes()[1:]
    assert len(answers) == times
    assert len(set(map(repr, answers))) == 1
    assert world.row(FIRST).state == STATES[what]
    if STATES[what] == "used":
        assert isinstance(answers[0], CommandRejected)
        assert (answers[0].reason, answers[0].command_type, answers[0].body_hash) == (
            "order_used",
            "CancelPayment",
            None,
        )
    else:
        assert isinstance(answers[0], AttemptCancelled)
    assert world.gateway.open_sessions() == []


def test_a_cancellation_before_the_registration_leaves_nothing_to_pay() -> None:
    """And its replay, at any time, with any body, says so again without a call."""
    world, other = World(), register(amount=7)

    async def scenario() -> None:
        await world.handle(cancel())
        for command in (FIRST, FIRST, other):
            await world.handle(command)
        await world.handle(cancel())
        await world.handle(SECOND)

    simulated(scenario())
    assert told(world) == ["AttemptCancelled"] * 5 + ["TokenIssued"]
    assert len(set(map(repr, world.outcomes()[:5]))) == 1
    assert world.row(FIRST).state == "cancelled"
    assert len(world.gateway.calls) == 1


def test_a_registration_that_a_restored_ledger_has_forgotten_is_closed_when_it_is_read_again() -> None:
    """The cancellation came first to that ledger and called the attempt never sent; its session was open all the while.

    Found by the simulation.
    """
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        world.ledger.registrations.clear()  # restored from a backup before the registration
        await world.handle(cancel())
        await world.handle(FIRST, seen_before=True)

    simulated(scenario())
    assert told(world) == ["TokenIssued", "AttemptCancelled", "AttemptCancelled"]
    assert world.gateway.open_sessions() == []


def test_an_attempt_that_does_not_exist_cannot_be_cancelled() -> None:
    world = World()
    simulated(world.handle(cancel(attempt=2)))

    (rejected,) = world.outcomes()
    assert isinstance(rejected, CommandRejected)
    assert rejected.reason == "unknown_attempt"
    assert world.ledger.registrations.get(FIRST.order_id, {}) == {}


def test_a_rejected_attempt_is_none_to_cancel() -> None:
    """It never counted; to call it cancelled would make it the order's latest."""
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        happen(world, "paid")
        await world.handle(SECOND)
        happen(world, "nothing")
        world.gateway.intents["pi_cs_test_1"]["status"] = "requires_payment_method"
        await world.handle(cancel(attempt=2))

    simulated(scenario())
    assert told(world)[-1] == "CommandRejected"


def test_cancelling_an_attempt_that_was_never_registered_closes_the_one_before() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        await world.handle(cancel(attempt=2))
        await world.handle(SECOND)

    simulated(scenario())
    assert told(world) == ["TokenIssued", "AttemptCancelled", "AttemptCancelled"]
    assert world.gateway.open_sessions() == []


def test_a_late_cancellation_of_an_earlier_attempt_touches_no_later_one() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        await world.handle(SECOND)
        await world.handle(cancel())

    simulated(scenario())
    assert told(world) == ["TokenIssued", "TokenIssued", "AttemptCancelled"]
    assert [session.metadata["attempt"] for session in world.gateway.open_sessions()] == ["2"]


@pytest.mark.parametrize("is_born", [False, True])
def test_a_cancellation_of_an_unknown_attempt_waits_for_the_proof(is_born: bool) -> None:
    world = World()

    async def scenario() -> float:
        await stop_while_unknown(world)
        if is_born:
            world.gateway.bear(registration_request(FIRST))
        began = asyncio.get_running_loop().time()
        await world.handle(cancel())
        return asyncio.get_running_loop().time() - began

    seconds = simulated(scenario())
    assert told(world) == (["TokenIssued"] if is_born else ["RegistrationFailed"]) + ["AttemptCancelled"]
    assert (seconds > 300) == (not is_born)
    assert world.gateway.open_sessions() == []
