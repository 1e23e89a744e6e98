"""Dead letters of commands replayed, at once or a day later, whatever their first run has left behind.

The simulator tells: never is more than one session of an order payable, never is a refund made twice.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest

from payonce.domain.commands import RegisterPayment
from payonce.domain.events import RefundAccepted, RefundRejected, RegistrationFailed, RegistrationStuck, TokenIssued
from payonce.ports import Record
from services.ops_console.letters import letter_of
from services.ops_console.planning import Send, Skip, replayed
from services.psp_worker.assembly import Worker
from tests.fakes.letter_edits import draft, edited, sent
from tests.fakes.log import as_read
from tests.fakes.orders import refresh, refund
from tests.fakes.psp_on_simulator import PspOnSimulator
from tests.fakes.registrations import register
from tests.fakes.replay_runs import CREATE, HOUR, LIFE, kinds, on_simulator, order


def sent_again(psp: PspOnSimulator, how: str) -> Record:
    """What ops send for the first dead letter now."""
    planned = psp.replay_of(psp.letters()[0])
    assert isinstance(planned, Send), planned
    assert planned.how == how
    return as_read(planned.record)


async def others_succeed(psp: PspOnSimulator, worker: Worker) -> None:
    for number in itertools.count():
        await psp.handle(register(f"other-{number}", issued_at=int(psp.clock.now()), life_seconds=LIFE), worker=worker)
        await psp.clock.sleep(20)


async def stuck(psp: PspOnSimulator, command: RegisterPayment, kind: str) -> None:
    """The command's call fails for ten minutes while others succeed: it becomes a dead letter."""
    await psp.trouble(kind, operation=CREATE, idempotency_key=command.order_id)
    worker = psp.worker()
    others = asyncio.ensure_future(others_succeed(psp, worker))
    await psp.handle(command, worker=worker)
    others.cancel()
    await asyncio.wait([others])
    await psp.calm()
    assert kinds(psp, command) == [RegistrationStuck]


def test_a_refused_order_replayed_at_once_is_refused_again_while_its_cause_lasts() -> None:
    async def scenario(psp: PspOnSimulator) -> None:
        command = order(psp, customer_email="nobody")
        await psp.handle(command)

        replay = sent_again(psp, "new_attempt")
        for _ in range(2):
            await psp.handle(replay)

        first, *again = [letter_of(each) for each in psp.letters()]
        assert kinds(psp, command) == [RegistrationFailed] * 3
        assert {(each.letter_id, each.attempts) for each in again} == {(first.letter_id, 2)}
        assert await psp.count("sessions_per_order", command) == 0

    on_simulator(scenario)


@pytest.mark.parametrize("hours", [0, 20])
def test_an_order_that_our_key_was_refused_for_is_registered_by_a_replay(hours: float) -> None:
    """What the runbook says of the first two orders that meet a key without rights."""

    async def scenario(psp: PspOnSimulator) -> None:
        command = order(psp)
        await psp.trouble("unauthorized_401", operation=CREATE, times=1)
        await psp.handle(command)
        assert kinds(psp, command) == [RegistrationFailed]
        await psp.clock.sleep(hours * HOUR)

        replay = sent_again(psp, "new_attempt")
        for _ in range(2):
            await psp.handle(replay)

        assert kinds(psp, command)[1:] == [TokenIssued] * 2
        assert await psp.count("sessions_per_order", command) == 1
        assert isinstance(psp.replay_of(psp.letters()[0]), Skip), "the new attempt may be paid"

    on_simulator(scenario)


def test_a_refused_refund_is_made_once_however_often_its_edit_is_replayed() -> None:
    async def scenario(psp: PspOnSimulator) -> None:
        command = order(psp)
        await psp.handle(command)
        await psp.pay(command)
        await psp.trouble("unauthorized_401", operation="refunds.create", times=1)
        await psp.handle(refund(amount=500))
        row = letter_of(psp.letters()[-1])
        kept = edited(row, draft(row, amount=400))
        renamed = edited(row, draft(row, amount=400, refund_reference="back-2"))

        assert isinstance(psp.plan_of(row), Skip), "the ledger would only repeat its rejection"
        assert isinstance(psp.plan_of(kept), Skip), "the reference is decided for ever"
        for _ in range(3):
            sending = sent(psp.plan_of(renamed))
            renamed = replayed(renamed, sending)
            await psp.handle(as_read(sending.record))

        assert [type(each) for each in psp.outcomes()][-4:] == [RefundRejected] + [RefundAccepted] * 3
        assert await psp.count("refunds_per_reference", command) == 1

    on_simulator(scenario)


def test_a_refused_order_replayed_30_hours_later_is_one_new_attempt_however_often() -> None:
    async def scenario(psp: PspOnSimulator) -> None:
        command = order(psp)
        await psp.trouble("unauthorized_401", operation=CREATE, times=1)  # the canary is answered: this order's own
        await psp.handle(command)
        assert kinds(psp, command) == [RegistrationFailed]
        await psp.clock.sleep(30 * HOUR)

        amended = sent_again(psp, "new_attempt")
        for _ in range(3):
            await psp.handle(amended)
        once_more = psp.replay_of(psp.letters()[0])

        assert kinds(psp, command)[1:] == [TokenIssued] * 3
        assert await psp.count("sessions_per_order", command) == 1
        assert isinstance(once_more, Skip), "the new attempt may be paid"

    on_simulator(scenario)


@pytest.mark.parametrize(("kind", "is_there"), [("html_502", False), ("reset_after_commit", True)])
@pytest.mark.parametrize("times", [1, 2])
def test_a_stuck_order_replayed_at_once_is_found_or_proven_absent(kind: str, is_there: bool, times: int) -> None:
    async def scenario(psp: PspOnSimulator) -> None:
        command = order(psp)
        await stuck(psp, command, kind)

        replay = sent_again(psp, "as_is")
        for _ in range(times):
            await psp.handle(replay)

        assert kinds(psp, command)[1:] == [TokenIssued if is_there else RegistrationFailed] * times
        assert await psp.count("sessions_per_order", command) == int(is_there)

    on_simulator(scenario)


@pytest.mark.parametrize(("kind", "is_there"), [("html_502", False), ("reset_after_commit", True)])
def test_a_stuck_order_replayed_30_hours_later_is_settled_and_then_one_new_attempt(kind: str, is_there: bool) -> None:
    async def scenario(psp: PspOnSimulator) -> None:
        command = order(psp)
        await stuck(psp, command, kind)
        await psp.clock.sleep(30 * HOUR)

        await psp.handle(sent_again(psp, "as_is"))
        await psp.handle(refresh(issued_at=int(psp.clock.now())))  # as the reconciler does for an overdue order
        settled = await psp.count("open_sessions_per_order", command)
        amended = sent_again(psp, "new_attempt")
        for _ in range(2):
            await psp.handle(amended)

        assert settled == 0
        assert await psp.count("open_sessions_per_order", command) == 1
        assert await psp.count("sessions_per_order", command) == (2 if is_there else 1)
        assert isinstance(psp.replay_of(psp.letters()[0]), Skip)

    on_simulator(scenario)
