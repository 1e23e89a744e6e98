"""Subscriptions and cards on in-memory ports: registered, refreshed, refunded by their invoices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.events import CommandRejected, PspSnapshot, RefundAccepted, RefundRejected, TokenIssued
from payonce.domain.order import contribution
from payonce.domain.payments import resolve
from payonce.domain.terms import Recurring
from services.psp_worker.request import registration_request
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.orders import cancel, refresh, refund
from tests.fakes.psp_worker import World
from tests.fakes.registrations import register
from tests.fakes.subscribers import INVOICE, MONTHLY, SUBSCRIPTION, answers, run, subscribed

# ---------------------------------------------------------------------------------------- registration


@pytest.mark.parametrize("recurring", [None, MONTHLY], ids=["sale", "subscription"])
def test_a_card_on_the_shops_page_gets_a_secret_and_no_page(recurring: Recurring | None) -> None:
    world = World()
    simulated(world.handle(register(payment_method="CARD", recurring=recurring)))

    (token,) = world.outcomes()
    assert isinstance(token, TokenIssued)
    assert (token.hosted_page_url, token.client_secret) == (None, "cs_test_1_secret")


def test_the_secret_of_a_session_that_is_closed_when_it_is_found_is_not_told() -> None:
    """The answer was lost, and the customer of a late-born session cannot use it any more."""
    world = World()
    world.gateway.troubles.extend([Trouble("transient", takes_effect=True), Trouble("mismatch")])

    async def scenario() -> None:
        command = register(payment_method="CARD")
        world.gateway.bear(registration_request(command), key=f"{command.order_id}:register:1")
        world.gateway.end("cs_test_1")
        await world.handle(command)

    simulated(scenario())
    (token,) = world.outcomes()
    assert isinstance(token, TokenIssued)
    assert (token.session_id, token.client_secret) == ("cs_test_1", None)


def test_an_order_whose_subscription_lives_is_used() -> None:
    """Cancelling the attempt would leave the subscription running: it is refused, as for a sale that is paid."""
    world = World()
    run(world, cancel(), register(attempt=2, recurring=MONTHLY))

    used, second = answers(world)
    assert isinstance(used, CommandRejected)
    assert (used.command_type, used.reason) == ("CancelPayment", "order_used")
    assert isinstance(second, CommandRejected)
    assert (second.command_type, second.reason) == ("RegisterPayment", "order_used")
    assert world.gateway.billing.subscriptions[SUBSCRIPTION]["status"] == "active"


@pytest.mark.parametrize("known", [(), (f"pi_{INVOICE}",), (INVOICE,)], ids=["session", "payment", "invoice"])
def test_a_refresh_reads_the_subscription_its_invoice_and_what_paid_it(known: tuple[str, ...]) -> None:
    """Also from a PaymentIntent, which cannot say whose it is: nothing stays without the payment it belongs to."""
    world = World()

    async def scenario() -> None:
        await subscribed(world)
        if known:
            world.ledger.registrations.clear()
        await world.handle(refund(payment=INVOICE, amount=300))
        await world.handle(refresh(psp_ids=known))

    simulated(scenario())
    (snapshot,) = (each for each in answers(world) if isinstance(each, PspSnapshot))
    names = {str(each["id"]) for each in snapshot.objects} - {"cs_test_1"}
    intent = f"pi_{INVOICE}"
    assert names == {SUBSCRIPTION, INVOICE, intent, f"ch_{INVOICE}", f"inpay_{intent}", "re_1"}
    facts = contribution(snapshot, position=("payments.tokens", 0, 0)).facts
    assert (resolve(facts, intent), resolve(facts, f"ch_{INVOICE}")) == (INVOICE, INVOICE)


def test_a_refresh_asks_for_the_links_of_an_invoice_once() -> None:
    world = World()
    run(world, refresh())

    assert [operation for _, operation in world.gateway.asked].count("invoice_payments") == 1


def test_a_refresh_by_another_orders_payment_takes_nothing_of_it() -> None:
    """Its PaymentIntent names nobody; its invoice names the other order."""
    world = World()

    async def scenario() -> None:
        await world.handle(register("theirs", recurring=MONTHLY))
        world.gateway.pay("cs_test_1")
        await world.handle(refresh(psp_ids=(f"pi_{INVOICE}",)))

    simulated(scenario())
    (snapshot,) = (each for each in answers(world) if isinstance(each, PspSnapshot))
    assert snapshot.objects == ()


# --------------------------------------------------------------------------------- refunds of renewals


def test_a_renewal_is_refunded_by_its_invoice() -> None:
    world = World()

    async def scenario() -> None:
        await subscribed(world)
        renewal = world.gateway.renew(SUBSCRIPTION)
        await world.handle(refund(payment=renewal, amount=700))

    simulated(scenario())
    (told,) = answers(world)
    assert isinstance(told, RefundAccepted)
    (made,) = world.gateway.refunds.values()
    assert (told.payment, told.amount) == (f"in_{SUBSCRIPTION}_2", 700)
    assert made["payment_intent"] == f"pi_in_{SUBSCRIPTION}_2"


def test_without_a_name_it_is_what_the_customer_signed_up_with() -> None:
    world = World()
    run(world, refund())

    (told,) = answers(world)
    assert isinstance(told, RefundAccepted)
    assert told.amount == 1999
    assert [each["payment_intent"] for each in world.gateway.refunds.values()] == [f"pi_{INVOICE}"]


@pytest.mark.parametrize("payment", [None, INVOICE])
def test_a_trial_in_which_nothing_was_due_has_nothing_to_refund(payment: str | None) -> None:
    world = World()
    run(world, refund(payment=payment), recurring=replace(MONTHLY, trial_days=14))

    (told,) = answers(world)
    assert isinstance(told, RefundRejected)
    assert told.reason == "no_payment"
    assert world.gateway.refunds == {}


def test_another_orders_renewal_is_not_refunded() -> None:
    world = World()

    async def scenario() -> None:
        await subscribed(world)
        await world.handle(register("theirs", recurring=MONTHLY))
        world.gateway.pay("cs_test_2")
        renewal = world.gateway.renew("sub_cs_test_2")
        await world.handle(refund(payment=renewal))

    simulated(scenario())
    (told,) = answers(world)
    assert isinstance(told, RefundRejected)
    assert told.reason == "no_payment"
    assert world.gateway.refunds == {}
