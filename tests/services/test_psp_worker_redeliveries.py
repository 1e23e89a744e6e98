"""Commands that come back, at once or a day later, whatever their first run has left behind.

The simulator tells: never is more than one session of an order payable, never is a refund made twice.
"""

from __future__ import annotations

import pytest

from payonce.domain.commands import Command
from payonce.domain.events import AttemptCancelled, CommandRejected, RefundAccepted, RegistrationFailed, TokenIssued
from tests.fakes.log import command_record
from tests.fakes.orders import cancel, refresh, refund
from tests.fakes.psp_on_simulator import PspOnSimulator
from tests.fakes.psp_worker import Crash
from tests.fakes.registrations import register
from tests.fakes.replay_runs import CREATE, HOUR, LIFE, kinds, on_simulator, order


async def ending(psp: PspOnSimulator, what: Command, *, after: str) -> None:
    """The PSP carries the call out, and the process ends before its answer is written down."""
    psp.ends_after = after
    with pytest.raises(Crash):
        await psp.handle(what)


@pytest.mark.parametrize("hours", [0, 1, 21, 25, 30])
@pytest.mark.parametrize("is_ledger_lost", [False, True])
def test_a_lost_answer_makes_no_second_session_however_late_the_command_comes_back(
    hours: int, is_ledger_lost: bool
) -> None:
    """After 24 h the PSP has forgotten the key: the same call would make another session."""

    async def scenario(psp: PspOnSimulator) -> None:
        command = order(psp)
        await ending(psp, command, after="register")
        if is_ledger_lost:
            psp.ledger.registrations.clear()
        await psp.clock.sleep(hours * HOUR)

        for _ in range(2):
            await psp.handle(command, seen_before=is_ledger_lost)

        assert kinds(psp, command) == [TokenIssued] * 2
        assert await psp.count("sessions_per_order", command) == 1

    on_simulator(scenario)


@pytest.mark.parametrize("kind", ["reset_after_commit", "truncated_body", "status_500_after_commit"])
def test_a_timeout_after_success_ends_in_the_one_session(kind: str) -> None:
    async def scenario(psp: PspOnSimulator) -> None:
        command = order(psp)
        await psp.trouble(kind, operation=CREATE, times=3)

        await psp.handle(command)

        assert kinds(psp, command) == [TokenIssued]
        assert await psp.count("sessions_per_order", command) == 1

    on_simulator(scenario)


def test_a_saved_500_whose_session_is_born_late_is_closed_and_the_next_attempt_alone_can_be_paid() -> None:
    async def scenario(psp: PspOnSimulator) -> None:
        first = order(psp)
        await psp.trouble("status_500_saved", operation=CREATE, times=1)
        await psp.handle(first)
        assert kinds(psp, first) == [RegistrationFailed], "proven absent"
        await psp.bear_late(first)

        await psp.handle(order(psp, attempt=2))
        await psp.handle(first)  # a redelivery
        await psp.handle(
            refresh(issued_at=int(psp.clock.now()))
        )  # as the reconciler does after 10 min, 1 h, the expiry

        assert kinds(psp, first)[1:3] == [TokenIssued, RegistrationFailed]
        [left] = await psp.open_sessions()
        assert left["metadata"]["attempt"] == "2"
        assert await psp.count("sessions_per_order", first) == 2

    on_simulator(scenario)


@pytest.mark.parametrize("is_ledger_lost", [False, True])
def test_offsets_reset_to_the_beginning_repeat_every_outcome_and_change_nothing(is_ledger_lost: bool) -> None:
    async def scenario(psp: PspOnSimulator) -> None:
        commands: list[Command] = []
        for number in range(8):
            commands.append(register(f"A-{number}", issued_at=int(psp.clock.now()), life_seconds=LIFE))
            await psp.handle(commands[-1])
        paid, cancelled = commands[0], commands[1]
        await psp.pay(paid)
        for follower in (refund("A-0", issued_at=int(psp.clock.now())), cancel("A-1", issued_at=int(psp.clock.now()))):
            commands.append(follower)
            await psp.handle(follower)
        before = psp.control.stats()
        if is_ledger_lost:
            psp.ledger.registrations.clear()
            psp.ledger.refunds.clear()

        worker = psp.worker()
        for command in commands:
            await psp.handle(command, worker=worker, seen_before=True)

        after = psp.control.stats()
        for what in ("sessions_per_order", "open_sessions_per_order", "refunds_per_reference", "refunded"):
            assert after[what] == before[what], what
        assert AttemptCancelled in kinds(psp, cancelled)

    on_simulator(scenario)


def test_two_attempts_commanded_while_nobody_folds_leave_the_last_one_payable() -> None:
    """The worker asks its own ledger and the PSP, so it does not matter how far the fold is."""

    async def scenario(psp: PspOnSimulator) -> None:
        first = order(psp)
        await psp.handle(first)

        for attempt in (2, 2, 3, 2, 3):
            await psp.handle(order(psp, attempt=attempt))
        out_of_order = order(psp, attempt=5)
        await psp.handle(out_of_order)

        [left] = await psp.open_sessions()
        assert left["metadata"]["attempt"] == "3"
        assert kinds(psp, first)[-1] is CommandRejected

    on_simulator(scenario)


def test_a_cancellation_before_the_registration_leaves_nothing_payable_whichever_is_replayed() -> None:
    async def scenario(psp: PspOnSimulator) -> None:
        registration, cancellation = order(psp), cancel(issued_at=int(psp.clock.now()))

        for command in (cancellation, registration, registration, cancellation, registration):
            await psp.handle(command)
        await psp.clock.sleep(30 * HOUR)
        for command in (registration, cancellation):
            await psp.handle(command)

        assert set(kinds(psp, registration)) == {AttemptCancelled}
        assert await psp.count("sessions_per_order", registration) == 0

    on_simulator(scenario)


@pytest.mark.parametrize("hours", [0, 1, 30])
@pytest.mark.parametrize("is_ledger_lost", [False, True])
def test_a_refund_whose_answer_was_lost_moves_money_once_however_late_it_is_replayed(
    hours: int, is_ledger_lost: bool
) -> None:
    async def scenario(psp: PspOnSimulator) -> None:
        bought, back = order(psp), refund(amount=500, issued_at=int(psp.clock.now()))
        await psp.handle(bought)
        await psp.pay(bought)
        await ending(psp, back, after="refund")
        if is_ledger_lost:
            psp.ledger.refunds.clear()
        await psp.clock.sleep(hours * HOUR)

        for _ in range(2):
            await psp.handle(command_record(back), seen_before=is_ledger_lost)

        assert kinds(psp, bought)[1:] == [RefundAccepted] * 2
        assert await psp.count("refunds_per_reference", bought) == 1
        assert psp.control.stats()["refunded"]["eur"] == {"count": 1, "amount": 500}

    on_simulator(scenario)
