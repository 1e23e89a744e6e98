"""Subscriptions on the real gateway and the Stripe simulator, without any webhook: what the worker reads is enough."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from payonce.domain.commands import Command, SubscriptionEnd
from payonce.domain.events import CommandRejected, PspSnapshot, RefundAccepted, SubscriptionCancelAccepted, TokenIssued
from payonce.domain.merge import Facts, merge
from payonce.domain.order import OrderView, contribution, view
from payonce.domain.terms import Recurring
from tests.fakes.orders import cancel_subscription, refresh, refund
from tests.fakes.psp_on_simulator import PspOnSimulator, psp_on_simulator
from tests.fakes.registrations import register

DAY, HOUR = 86_400, 3_600
MONTHLY = Recurring("month")
PRICE = 1_999
KEPT_BUT_DECLINED = "4000000000000341"
LOST = [
    "reset_after_commit",
    "status_500_after_commit",
    "truncated_body",
    "reset_before",
    "status_500_saved",
    "html_502",
]


async def subscribed(psp: PspOnSimulator, recurring: Recurring = MONTHLY) -> tuple[Command, str]:
    """A subscription that lives: the command that began it, and its id."""
    command = register(issued_at=int(psp.clock.now()), recurring=recurring)
    await psp.handle(command)
    await psp.pay(command)
    [found] = await asyncio.to_thread(lambda: psp.control.subscriptions(order_id=command.order_id))
    return command, str(found["id"])


async def next_period(psp: PspOnSimulator, subscription: str) -> str:
    """Let the period end and its successor be billed; return the new invoice's id."""
    [found] = [each for each in await asyncio.to_thread(psp.control.subscriptions) if each["id"] == subscription]
    await psp.clock.sleep(found["current_period_end"] - psp.clock.now() + HOUR + 5)
    invoices = await asyncio.to_thread(lambda: psp.control.invoices(subscription=subscription))
    return str(invoices[-1]["id"])


class Reader:
    """Sends refreshes, and folds what they bring."""

    def __init__(self, psp: PspOnSimulator, command: Command) -> None:
        self._psp = psp
        self._command = command
        self._count = 0

    async def order(self, *psp_ids: str) -> OrderView:
        """The order as the log tells it after one more refresh, which names these."""
        self._count += 1
        now = int(self._psp.clock.now())
        await self._psp.handle(refresh(refresh_id=f"rfr_{self._count}", psp_ids=psp_ids, issued_at=now))
        facts: Facts = {}
        for offset, message in enumerate([self._command, *self._psp.outcomes()]):
            told = replace(message, refresh_offset=offset) if isinstance(message, PspSnapshot) else message
            facts = merge(facts, contribution(told, position=("t", 0, offset)).facts)  # type: ignore[arg-type]
        return view(facts)


async def test_what_is_read_alone_brings_a_subscription_through_its_life() -> None:
    """Every webhook is lost for ever: signed up, renewed, failed, refunded and ended all the same."""
    async with psp_on_simulator() as psp:
        command, subscription = await subscribed(psp)
        reader = Reader(psp, command)

        begun = await reader.order()
        assert (begun.status, begun.amount_paid, begun.subscriptions) == ("active", PRICE, (subscription,))

        renewal = await next_period(psp, subscription)
        renewed = await reader.order()
        assert (renewed.status, renewed.amount_paid) == ("active", 2 * PRICE)

        await psp.handle(refund(payment=renewal, amount=500, issued_at=int(psp.clock.now())))
        refunded = await reader.order()
        sent_back = {payment.payment: payment.refunded for payment in refunded.payments}
        assert (refunded.status, refunded.amount_refunded, sent_back[renewal]) == ("active", 500, 500)

        await asyncio.to_thread(psp.control.keep_card, subscription, KEPT_BUT_DECLINED)
        await next_period(psp, subscription)
        assert (await reader.order()).status == "past_due"

        await psp.handle(cancel_subscription(subscription=subscription, issued_at=int(psp.clock.now())))
        ended = await reader.order()
        assert (ended.status, ended.subscriptions, ended.flags) == ("ended", (), ())


async def test_a_dispute_of_a_renewal_in_between_is_read_by_its_id() -> None:
    """From the session only the first and the latest invoice are reached: so the reconciler names an order's disputes.

    It is appealed and lost again, which no event can tell apart from what was before.
    """
    async with psp_on_simulator() as psp:
        command, subscription = await subscribed(psp)
        reader = Reader(psp, command)
        renewal = await next_period(psp, subscription)
        await next_period(psp, subscription)
        invoices = await asyncio.to_thread(lambda: psp.control.invoices(subscription=subscription))
        [payer] = [each["payment_intent"] for each in invoices if each["id"] == renewal]
        dispute = await asyncio.to_thread(lambda: psp.control.open_dispute(payment_intent=payer)["id"])
        assert (await reader.order()).disputes == ()

        for status in ("lost", "appeal_needs_response", "appeal_under_review", "lost"):
            await asyncio.to_thread(psp.control.move_dispute, dispute, status)
            [seen] = (await reader.order(dispute)).disputes
            assert seen.status == status


async def test_a_trial_is_read_as_active_with_nothing_paid() -> None:
    async with psp_on_simulator() as psp:
        command, _ = await subscribed(psp, replace(MONTHLY, trial_days=14))

        order = await Reader(psp, command).order()

        assert (order.status, order.amount_paid, order.flags) == ("active", 0, ())


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("at", ["now", "period_end"])
async def test_a_cancellation_whose_answer_is_lost_is_asked_for_until_it_is_known(
    at: SubscriptionEnd, fault: str
) -> None:
    async with psp_on_simulator() as psp:
        _, subscription = await subscribed(psp)
        await psp.trouble(fault, operation="subscriptions.*", times=3, skip=1)

        await psp.handle(cancel_subscription(subscription=subscription, at=at, issued_at=int(psp.clock.now())))
        await psp.calm()

        [told] = [each for each in psp.outcomes() if not isinstance(each, TokenIssued)]
        [shown] = await asyncio.to_thread(psp.control.subscriptions)
        assert isinstance(told, SubscriptionCancelAccepted)
        assert (shown["status"], shown["cancel_at_period_end"]) == (
            ("canceled", False) if at == "now" else ("active", True)
        )
        assert psp.dead_letters() == []


@pytest.mark.parametrize("fault", LOST)
async def test_the_refund_of_a_renewal_moves_money_once_whatever_is_lost(fault: str) -> None:
    async with psp_on_simulator() as psp:
        command, subscription = await subscribed(psp)
        renewal = await next_period(psp, subscription)
        again = refund(payment=renewal, amount=100, issued_at=int(psp.clock.now()))
        await psp.trouble(fault, operation="refunds.create", times=2)

        for _ in range(2):
            await psp.handle(again)

        told = [each for each in psp.outcomes() if isinstance(each, RefundAccepted)]
        made = await psp.count("refunds_per_reference", command)
        assert {each.payment for each in told} <= {renewal}
        assert made == bool(told)


@pytest.mark.parametrize("api_version", ["2026-10-28\r\nX-Evil: 1", "\U0001f4b6" * 10])
async def test_whatever_a_cancellation_carries_it_is_answered(api_version: str) -> None:
    """One such record, read again after each restart, would hold its partition for ever."""
    async with psp_on_simulator() as psp:
        _, subscription = await subscribed(psp)
        command = cancel_subscription(subscription=subscription, issued_at=int(psp.clock.now()))

        await asyncio.wait_for(psp.handle(replace(command, api_version=api_version)), 30)

        answered = [each for each in psp.outcomes() if isinstance(each, CommandRejected | SubscriptionCancelAccepted)]
        assert len(answered) + len(psp.dead_letters()) == 1
