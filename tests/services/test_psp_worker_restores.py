"""A database that came back from a backup has forgotten what was done, and cannot be asked whether it has.

Nothing that we say may follow from what is missing there: the PSP is asked, or the call repeated under its key.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Literal

import pytest

from payonce.domain.commands import RefundPayment
from payonce.domain.events import AttemptCancelled, RefundAccepted, RefundRejected, RegistrationFailed, TokenIssued
from payonce.ports import RefundEntry, Registration
from services.psp_worker.request import registration_request
from tests.fakes.clock import START, simulated
from tests.fakes.orders import cancel, refund
from tests.fakes.psp_worker import World, settled
from tests.fakes.refund_runs import answers, paid_order, returned
from tests.fakes.registrations import register

HOUR = 3600
MINUTE = 60
Moment = Literal["when it is read", "when its call is due"]


async def read_again(world: World, moment: Moment) -> None:
    """Read the registration, not as one that the group had passed, when there are 35 minutes of it left."""
    await asyncio.sleep(2 * HOUR - (34 if moment == "when it is read" else 36) * MINUTE)
    worker = world.worker()
    world.polled = moment == "when it is read"  # who does not hear of the group makes no call
    handling = asyncio.ensure_future(world.handle(register(), worker=worker))
    await asyncio.sleep(2 * MINUTE)
    world.polled = True
    await handling


@pytest.mark.parametrize("moment", ["when it is read", "when its call is due"])
def test_a_forgotten_page_is_found_although_its_command_is_stale(moment: Moment) -> None:
    """Its offset was not committed, because an earlier one of its partition waited: the group had not passed it."""
    world = World()

    async def scenario() -> None:
        await world.handle(register())
        world.ledger.registrations.clear()
        await read_again(world, moment)
        assert world.row(register()).session_id == "cs_test_1"
        await world.handle(cancel())

    simulated(scenario())
    assert [type(each) for each in world.outcomes()] == [TokenIssued, TokenIssued, AttemptCancelled]
    assert len(world.gateway.calls) == 1
    assert world.gateway.open_sessions() == []


@pytest.mark.parametrize("moment", ["when it is read", "when its call is due"])
def test_a_stale_command_is_said_to_have_failed_by_what_the_psp_shows(moment: Moment) -> None:
    world = World()
    simulated(read_again(world, moment))

    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "stale"
    assert "by a scan" in failed.proof
    assert world.gateway.calls == []


def second_payment(world: World) -> Registration:
    """Let the customer pay another attempt as well, which the restored ledger knows; return its row."""
    again = register(attempt=2)
    session = world.gateway.bear(registration_request(again))
    world.gateway.pay(session.session_id)
    row = replace(world.row(register()), attempt=2, session_id=session.session_id)
    world.ledger.registrations[again.order_id][2] = row
    return row


@pytest.mark.parametrize("made", ["back then", "just now", "never"])
@pytest.mark.parametrize("days", [0, 2])
def test_a_forgotten_refund_is_found_although_its_payment_is_not_the_only_one_any_more(made: str, days: int) -> None:
    world, command = World(), refund(amount=500)

    async def scenario() -> None:
        await paid_order(world)
        await asyncio.sleep(days * 24 * HOUR)
        request = {"payment_intent": "pi_cs_test_1", "amount": 500, "metadata": _names(command)}
        if made == "back then":
            await world.gateway.refund(request, idempotency_key="forgotten", api_version="")
        second_payment(world)
        handling = asyncio.ensure_future(world.handle(command, seen_before=True))
        await settled(lambda: world.clock.now() > START + days * 24 * HOUR + 200)
        if made == "just now":  # a try of the process before, on its way for so long
            await world.gateway.refund(request, idempotency_key="forgotten", api_version="")
        await handling
        await world.handle(command)

    simulated(scenario())
    said, again = answers(world)
    assert said == again
    assert isinstance(said, RefundRejected if made == "never" else RefundAccepted)
    assert returned(world) == (0 if made == "never" else 500)
    assert "ever sent" not in (world.ledger.refunds[command.order_id, "back-1"].proof or "")


def test_a_refund_that_could_not_leave_for_a_day_is_asked_about_not_called() -> None:
    """Was it forgotten, the PSP has forgotten its key as well: the call would pay a second time."""
    world, command = World(), refund(amount=500)

    async def scenario() -> None:
        await paid_order(world)
        await world.handle(command)
        world.ledger.refunds.clear()
        await asyncio.sleep(22 * HOUR)
        enter = world.ledger.enter_refund

        async def cut_off(refund: RefundEntry) -> tuple[RefundEntry, bool]:
            world.polled = False  # who does not hear of the group makes no call
            return await enter(refund)

        world.ledger.enter_refund = cut_off  # type: ignore[method-assign]
        handling = asyncio.ensure_future(world.handle(command))
        await asyncio.sleep(3 * HOUR)
        world.gateway.forget_keys()
        world.polled = True
        await handling

    simulated(scenario())
    first, second = answers(world)
    assert first == second
    assert returned(world) == 500


def _names(command: RefundPayment) -> dict[str, str]:
    return {"order_id": command.order_id, "refund_reference": command.refund_reference}
