"""Subscriptions: signing up, trials, renewals by the clock, and how they end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import stripe

from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.billing import (
    ALWAYS_ASKS,
    DAY,
    KEPT_BUT_DECLINED,
    event_types,
    period_end,
    subscribed,
    subscription_order,
    tea,
    to_next_period,
)
from tests.services.stripe_simulator.conftest import Receiver


def test_a_session_in_subscription_mode_knows_no_subscription_until_it_is_paid(
    shared_client: stripe.StripeClient,
) -> None:
    session = shared_client.v1.checkout.sessions.create(subscription_order())

    assert (session.mode, session.status, session.amount_total) == ("subscription", "open", 900)
    assert (session.subscription, session.invoice, session.customer, session.payment_intent) == (None,) * 4
    assert session.payment_method_types == ["card"]
    assert session.payment_method_collection == "always"


def test_signing_up_makes_customer_subscription_invoice_and_payment(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    subscription_id = subscribed(simulator, client, line_items=[tea(quantity=2)])

    assert event_types(client) == [
        "customer.subscription.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.paid",
        "invoice_payment.paid",
        "checkout.session.completed",
    ]
    (completed,) = receiver.wait_for_type("checkout.session.completed")
    session = completed.event["data"]["object"]
    assert (session["payment_status"], session["payment_intent"]) == ("paid", None)
    assert session["subscription"] == subscription_id
    subscription = client.v1.subscriptions.retrieve(subscription_id)
    assert (subscription.status, subscription.metadata.to_dict()) == ("active", {"order_id": "ord_1", "attempt": "1"})
    invoice = client.v1.invoices.retrieve(session["invoice"])
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == ("paid", 1800, "subscription_create")
    assert client.v1.customers.retrieve(session["customer"]).email == "customer@example.com"


def test_the_only_link_from_a_payment_to_its_order_is_the_invoice(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    """PaymentIntent and charge have empty metadata; invoice_payments, then the invoice's parent, lead home."""
    subscription_id = subscribed(simulator, client)
    (charge,) = client.v1.charges.list().data
    intent = client.v1.payment_intents.retrieve(str(charge.payment_intent))
    assert (charge.metadata.to_dict(), intent.metadata.to_dict()) == ({}, {})

    found = client.v1.invoice_payments.list({"payment": {"type": "payment_intent", "payment_intent": intent.id}}).data

    assert [payment.status for payment in found] == ["paid"]
    invoice = client.v1.invoices.retrieve(str(found[0].invoice))
    assert invoice.parent is not None
    details = invoice.parent.subscription_details
    assert details is not None
    assert (details.subscription, details.metadata.to_dict()["order_id"]) == (subscription_id, "ord_1")  # type: ignore[union-attr]  # given
    line = invoice.lines.data[0]
    assert (line.period.start, line.period.end) == (invoice.created, period_end(client, subscription_id))
    sessions = client.v1.checkout.sessions.list({"subscription": subscription_id}).data
    assert [session.client_reference_id for session in sessions] == ["ord_1"]


def test_payments_of_an_invoice_are_shown_only_when_expanded(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    invoice_id = simulator.control.invoices(subscription=subscribed(simulator, client))[0]["id"]

    assert "payments" not in client.v1.invoices.retrieve(invoice_id)
    expand = ["payments.data.payment.payment_intent"]
    payments = client.v1.invoices.retrieve(invoice_id, {"expand": expand}).payments
    assert payments is not None
    assert payments.data[0].payment.payment_intent.amount_received == 900  # type: ignore[union-attr]  # expanded


def test_a_declined_card_leaves_nothing_behind(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    session = client.v1.checkout.sessions.create(subscription_order())
    for card in ("4000000000000002", KEPT_BUT_DECLINED):
        declined = simulator.control.pay(session.id, card=card)
        assert (declined["status"], declined["error"]) == ("open", "Your card was declined.")
    assert client.v1.events.list().data == []
    assert simulator.control.subscriptions() == []

    assert simulator.control.pay(session.id)["status"] == "complete"


@pytest.mark.parametrize(("decision", "status"), [("pass", "complete"), ("fail", "open")])
def test_three_d_secure_when_signing_up(
    simulator: SimulatorServer, client: stripe.StripeClient, decision: str, status: str
) -> None:
    session = client.v1.checkout.sessions.create(subscription_order())
    waiting = simulator.control.pay(session.id, card="4000002500003155", authenticate="wait")
    assert (waiting["status"], simulator.control.subscriptions()) == ("open", [])

    assert simulator.control.pay(session.id, authenticate=decision)["status"] == status
    assert len(simulator.control.subscriptions()) == (1 if status == "complete" else 0)


def test_renewals_follow_the_clock(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    subscription_id = subscribed(simulator, client)
    for _ in range(3):
        to_next_period(simulator, client, subscription_id)

    rows = simulator.control.invoices(order_id="ord_1")
    assert [row["billing_reason"] for row in rows] == ["subscription_create"] + ["subscription_cycle"] * 3
    assert [(row["status"], row["amount_paid"]) for row in rows] == [("paid", 900)] * 4
    assert all(earlier["period_end"] < later["period_end"] for earlier, later in pairwise(rows))
    assert all(earlier["period_end"] == later["period_start"] for earlier, later in pairwise(rows))
    assert len({row["payment_intent"] for row in rows}) == 4
    assert simulator.control.stats()["payments"] == {"eur": {"count": 4, "amount": 3600}}
    listed = client.v1.invoices.list({"subscription": subscription_id}).data
    assert [invoice.id for invoice in listed] == [row["id"] for row in rows][::-1]


def test_a_renewal_is_a_draft_for_an_hour(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    subscription_id = subscribed(simulator, client)
    left = period_end(client, subscription_id) - simulator.control.stats()["now"]
    simulator.control.advance_clock(left + 1)
    assert simulator.control.invoices(subscription=subscription_id)[-1]["status"] == "draft"

    simulator.control.advance_clock(3600)

    assert simulator.control.invoices(subscription=subscription_id)[-1]["status"] == "paid"


def test_a_trial_costs_nothing_at_first(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    session = client.v1.checkout.sessions.create(subscription_order(subscription_data={"trial_period_days": 7}))
    assert (session.amount_total, session.payment_status) == (0, "no_payment_required")
    row = simulator.control.pay(session.id)
    assert (row["status"], row["payment_status"]) == ("complete", "no_payment_required")
    (invoice,) = simulator.control.invoices(order_id="ord_1")
    assert (invoice["status"], invoice["amount_due"], invoice["payment_intent"]) == ("paid", 0, None)
    subscription = client.v1.subscriptions.retrieve(row["subscription"])
    assert subscription.status == "trialing"
    assert subscription.trial_end == subscription.created + 7 * DAY
    assert event_types(client) == ["customer.subscription.created", "invoice.paid", "checkout.session.completed"]

    to_next_period(simulator, client, subscription.id)

    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert [row["amount_paid"] for row in simulator.control.invoices(order_id="ord_1")] == [0, 900]


def test_what_is_bought_once_is_on_the_first_invoice_only(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    pot = {"price_data": {"currency": "eur", "unit_amount": 2000, "product_data": {"name": "Pot"}}, "quantity": 1}
    trial = {"trial_period_days": 7}
    subscription_id = subscribed(simulator, client, line_items=[tea(), pot], subscription_data=trial)
    to_next_period(simulator, client, subscription_id)

    assert [row["amount_paid"] for row in simulator.control.invoices(order_id="ord_1")] == [2000, 900]


@pytest.mark.parametrize(
    ("behavior", "status", "event"),
    [
        ("create_invoice", "past_due", "customer.subscription.updated"),
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("pause", "paused", "customer.subscription.paused"),
    ],
)
def test_a_trial_that_ends_without_a_card(
    simulator: SimulatorServer, client: stripe.StripeClient, behavior: str, status: str, event: str
) -> None:
    data = {"trial_period_days": 7, "trial_settings": {"end_behavior": {"missing_payment_method": behavior}}}
    changes = {"payment_method_collection": "if_required", "subscription_data": data}
    subscription_id = subscribed(simulator, client, **changes)
    assert simulator.control.subscriptions()[0]["card"] is None
    to_next_period(simulator, client, subscription_id)

    assert client.v1.subscriptions.retrieve(subscription_id).status == status
    assert event_types(client)[-1] == event


def test_cancelling_now(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    subscription_id = subscribed(simulator, client)
    ended = client.v1.subscriptions.cancel(subscription_id)
    assert (ended.status, ended.ended_at) == ("canceled", ended.canceled_at)
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "cancellation_requested"
    assert event_types(client)[-1] == "customer.subscription.deleted"

    with pytest.raises(stripe.InvalidRequestError) as again:
        client.v1.subscriptions.cancel(subscription_id)
    assert (again.value.http_status, again.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match="canceled subscription can only update"):
        client.v1.subscriptions.update(subscription_id, {"cancel_at_period_end": True})
    simulator.control.advance_clock(70 * DAY)
    assert len(simulator.control.invoices()) == 1
    assert simulator.control.stats()["live_subscriptions_per_order"] == {}


def test_cancelling_at_the_periods_end(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    subscription_id = subscribed(simulator, client)
    told = client.v1.subscriptions.update(subscription_id, {"cancel_at_period_end": True})
    assert (told.status, told.cancel_at_period_end) == ("active", True)
    assert told.cancel_at == period_end(client, subscription_id)
    simulator.control.advance_clock(32 * DAY)

    assert client.v1.subscriptions.retrieve(subscription_id).status == "canceled"
    assert event_types(client)[-1] == "customer.subscription.deleted"
    assert len(simulator.control.invoices()) == 1


def test_a_cancellation_can_be_taken_back(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    subscription_id = subscribed(simulator, client)
    simulator.control.cancel_subscription(subscription_id, at="period_end")
    kept = client.v1.subscriptions.update(subscription_id, {"cancel_at_period_end": False, "metadata": {"a": "b"}})
    assert (kept.cancel_at_period_end, kept.cancel_at, kept.canceled_at) == (False, None, None)
    assert kept.metadata.to_dict() == {"order_id": "ord_1", "attempt": "1", "a": "b"}
    to_next_period(simulator, client, subscription_id)

    assert simulator.control.subscriptions()[0]["status"] == "active"


def test_listing_leaves_out_what_is_canceled(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    over, live = subscribed(simulator, client), subscribed(simulator, client)
    simulator.control.cancel_subscription(over)
    customer = client.v1.subscriptions.retrieve(live).customer

    def listed(**filters: Any) -> list[str]:
        return [item.id for item in client.v1.subscriptions.list(filters).data]  # type: ignore[arg-type]  # typed dictionaries

    assert listed() == [live]
    assert listed(status="all") == [live, over]
    assert listed(status="canceled") == listed(status="ended") == [over]
    assert listed(customer=customer) == listed(status="active") == [live]


def test_a_card_that_always_asks_signs_up(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    subscription_id = subscribed(simulator, client, card=ALWAYS_ASKS)

    assert client.v1.subscriptions.retrieve(subscription_id).status == "active"
