"""The double's objects have the shapes that the installed stripe package declares."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import stripe

from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.billing import ALWAYS_ASKS, subscribed, tea, to_next_period
from tests.services.stripe_simulator.conftest import order
from tests.services.stripe_simulator.shapes import absent_fields, findings

# Shown by Stripe only where they apply: expansions, Connect, card-present and the like.
SHAPES: dict[str, type[stripe.StripeObject]] = {
    "checkout.session": stripe.checkout.Session,
    "payment_intent": stripe.PaymentIntent,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "balance_transaction": stripe.BalanceTransaction,
    "dispute": stripe.Dispute,
    "customer": stripe.Customer,
    "subscription": stripe.Subscription,
    "invoice": stripe.Invoice,
    "invoice_payment": stripe.InvoicePayment,
}
NOT_SHOWN: dict[type[stripe.StripeObject], set[str]] = {
    stripe.checkout.Session: {"line_items"},
    stripe.PaymentIntent: set(),
    stripe.Charge: {"authorization_code", "level3", "refunds", "transfer"},
    stripe.Event: {"account", "context"},
    stripe.Refund: set(),
    stripe.BalanceTransaction: set(),
    stripe.Dispute: set(),
    stripe.Customer: {
        "cash_balance",
        "deleted",
        "invoice_credit_balance",
        "sources",
        "subscriptions",
        "tax",
        "tax_ids",
    },
    stripe.Subscription: set(),
    stripe.Invoice: {"confirmation_secret", "deleted", "payments"},
    stripe.InvoicePayment: set(),
}


def raw(client: stripe.StripeClient, path: str) -> dict[str, Any]:
    return dict(client.raw_request("get", path).data)


def assert_shape(value: dict[str, Any], shape: type[stripe.StripeObject]) -> None:
    assert findings(value, shape) == []
    assert absent_fields(value, shape) == NOT_SHOWN[shape]


PAYMENTS = [
    {"method": "card"},
    {"method": "card", "card": "4000002500003155"},
    {"method": "card", "card": "4000000000000002"},
    {"method": "card", "card": "4000002500003155", "authenticate": "fail"},
    {"method": "card", "card": "4000002500003155", "authenticate": "wait"},
    {"method": "redirect"},
    {"method": "redirect", "authenticate": "fail"},
    {"method": "delayed"},
]


@pytest.mark.parametrize("payment", PAYMENTS, ids=str)
@pytest.mark.parametrize("currency", ["eur", "usd", "gbp"])
def test_every_object_of_a_payment_has_the_declared_shape(
    shared_simulator: SimulatorServer, shared_client: stripe.StripeClient, payment: dict[str, Any], currency: str
) -> None:
    item = {"price_data": {"currency": currency, "unit_amount": 500, "product_data": {"name": "Tea"}}, "quantity": 1}
    session_id = shared_client.v1.checkout.sessions.create(order(line_items=[item])).id
    assert_shape(raw(shared_client, f"/v1/checkout/sessions/{session_id}"), stripe.checkout.Session)

    shared_simulator.control.pay(session_id, **payment)

    session = raw(shared_client, f"/v1/checkout/sessions/{session_id}")
    assert_shape(session, stripe.checkout.Session)
    assert_shape(raw(shared_client, f"/v1/payment_intents/{session['payment_intent']}"), stripe.PaymentIntent)
    for charge in raw(shared_client, "/v1/charges")["data"]:
        assert_shape(charge, stripe.Charge)
    for event in raw(shared_client, "/v1/events")["data"]:
        assert_shape(event, stripe.Event)
        assert_shape(event["data"]["object"], SHAPES[event["data"]["object"]["object"]])


@pytest.mark.parametrize("currency", ["brl", "mxn"])
@pytest.mark.parametrize("succeed", [True, False])
def test_vouchers_have_the_declared_shape(
    simulator: SimulatorServer, client: stripe.StripeClient, currency: str, succeed: bool
) -> None:
    item = {"price_data": {"currency": currency, "unit_amount": 500, "product_data": {"name": "Tea"}}, "quantity": 1}
    row = simulator.control.pay(
        client.v1.checkout.sessions.create(order(line_items=[item])).id, method="voucher", succeed=succeed
    )
    simulator.control.advance_clock(7 * 86_400)
    if succeed:
        client.v1.refunds.create({"payment_intent": row["payment_intent"]})

    for event in raw(client, "/v1/events?limit=100")["data"]:
        assert_shape(event["data"]["object"], SHAPES[event["data"]["object"]["object"]])


@pytest.mark.parametrize("succeed", [True, False])
def test_settled_delayed_debits_and_expired_sessions_have_the_declared_shape(
    simulator: SimulatorServer, client: stripe.StripeClient, succeed: bool
) -> None:
    session_id = client.v1.checkout.sessions.create(order()).id
    simulator.control.pay(session_id, method="delayed")
    simulator.control.settle(session_id, succeed=succeed)
    other_id = client.v1.checkout.sessions.create(
        order(ui_mode="elements", return_url="http://x/", success_url=None, cancel_url=None)
    ).id
    client.v1.checkout.sessions.expire(other_id)

    for session in raw(client, "/v1/checkout/sessions")["data"]:
        assert_shape(session, stripe.checkout.Session)
    for event in raw(client, "/v1/events")["data"]:
        assert_shape(event, stripe.Event)


@pytest.mark.parametrize("currency", ["eur", "usd", "gbp"])
@pytest.mark.parametrize("method", ["card", "redirect", "delayed"])
def test_refunds_have_the_declared_shape(
    simulator: SimulatorServer, client: stripe.StripeClient, method: str, currency: str
) -> None:
    item = {"price_data": {"currency": currency, "unit_amount": 500, "product_data": {"name": "Tea"}}, "quantity": 1}
    intent = simulator.control.pay(client.v1.checkout.sessions.create(order(line_items=[item])).id, method=method)
    simulator.control.advance_clock(5 * 86_400)
    for amount in (100, 200):
        client.v1.refunds.create({"payment_intent": intent["payment_intent"], "amount": amount})
    simulator.control.advance_clock(5 * 86_400)
    simulator.control.fail_refund(simulator.control.refunds()[0]["id"])

    expand = "expand[]=data.charge.payment_intent&expand[]=data.balance_transaction"
    for listed in ("refunds", "balance_transactions"):
        for item in raw(client, f"/v1/{listed}")["data"]:
            assert_shape(item, SHAPES[item["object"]])
    for refund in raw(client, f"/v1/refunds?{expand}")["data"]:
        assert findings(refund, stripe.Refund) == []
    for event in raw(client, "/v1/events?limit=100")["data"]:
        assert_shape(event["data"]["object"], SHAPES[event["data"]["object"]["object"]])


@pytest.mark.parametrize("inquiry", [True, False])
@pytest.mark.parametrize("method", ["card", "redirect"])
def test_disputes_have_the_declared_shape(
    simulator: SimulatorServer, client: stripe.StripeClient, method: str, inquiry: bool
) -> None:
    intent = simulator.control.pay(client.v1.checkout.sessions.create(order()).id, method=method)["payment_intent"]
    row = simulator.control.open_dispute(payment_intent=intent, inquiry=inquiry)
    for status in ("needs_response", "under_review", "lost", "appeal_needs_response", "appeal_under_review", "won"):
        if inquiry or status != "needs_response":
            simulator.control.move_dispute(row["id"], status)

    expand = "expand[]=charge&expand[]=payment_intent.latest_charge"
    assert_shape(raw(client, f"/v1/disputes/{row['id']}"), stripe.Dispute)
    assert findings(raw(client, f"/v1/disputes/{row['id']}?{expand}"), stripe.Dispute) == []
    for event in raw(client, "/v1/events?limit=100")["data"]:
        assert_shape(event["data"]["object"], SHAPES[event["data"]["object"]["object"]])


def test_objects_of_subscriptions_have_the_declared_shape(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    pot = {"price_data": {"currency": "eur", "unit_amount": 2000, "product_data": {"name": "Pot"}}, "quantity": 2}
    for changes in ({"line_items": [tea(), pot]}, {"subscription_data": {"trial_period_days": 7}}):
        subscription = subscribed(simulator, client, **changes)
        simulator.control.keep_card(subscription, ALWAYS_ASKS)
        to_next_period(simulator, client, subscription)
    client.v1.subscriptions.update(subscription, {"cancel_at_period_end": True})
    owed = simulator.control.invoices(status="open")
    simulator.control.give_up_invoice(owed[0]["id"])
    simulator.control.give_up_invoice(owed[1]["id"], void=True)
    client.v1.subscriptions.cancel(subscription)

    for listed in ("subscriptions?status=all", "invoices", "invoice_payments", "payment_intents", "charges"):
        items = raw(client, f"/v1/{listed}")["data"]
        assert items
        for item in items:
            assert_shape(item, SHAPES[item["object"]])
    for event in raw(client, "/v1/events?limit=100")["data"]:
        assert_shape(event["data"]["object"], SHAPES[event["data"]["object"]["object"]])


def test_expanded_subscriptions_have_the_declared_shape(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    subscription = subscribed(simulator, client)
    paths = ("customer", "invoice.payments.data.payment", "subscription.latest_invoice.payments", "line_items")
    query = "&".join(f"expand[]=data.{path}" for path in paths[:1] + paths[3:])
    (session,) = raw(client, f"/v1/checkout/sessions?subscription={subscription}&{query}")["data"]
    whole = raw(client, f"/v1/checkout/sessions/{session['id']}?" + "&".join(f"expand[]={path}" for path in paths))

    assert findings(session, stripe.checkout.Session) == []
    assert findings(whole, stripe.checkout.Session) == []
    assert whole["invoice"]["payments"]["data"][0]["invoice"] == whole["invoice"]["id"]
    assert whole["subscription"]["latest_invoice"]["id"] == whole["invoice"]["id"]
    assert whole["subscription"]["items"]["data"][0]["price"] == whole["line_items"]["data"][0]["price"]


def test_expansions_have_the_declared_shape(
    shared_simulator: SimulatorServer, shared_client: stripe.StripeClient
) -> None:
    session_id = shared_client.v1.checkout.sessions.create(order()).id
    shared_simulator.control.pay(session_id)

    expand = "expand[]=line_items&expand[]=payment_intent.latest_charge"
    session = raw(shared_client, f"/v1/checkout/sessions/{session_id}?{expand}")

    assert findings(session, stripe.checkout.Session) == []
    assert session["payment_intent"]["latest_charge"]["payment_intent"] == session["payment_intent"]["id"]
    assert session["line_items"]["data"][0]["amount_total"] == 2500


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ({"created": "yesterday"}, "Session.created: 'yesterday' is not int"),
        ({"livemod": False}, "Session.livemod: unknown field"),
        ({"status": "closed"}, "Session.status: 'closed' is not one of 3 documented values"),
        ({"automatic_tax": None}, "Session.automatic_tax: NoneType instead of an object"),
        ({"custom_fields": {}}, "Session.custom_fields: dict instead of a list"),
        ({"automatic_tax": {"enabled": 1}}, "Session.automatic_tax.enabled: 1 is not bool"),
    ],
)
def test_the_checker_finds_damage(shared_client: stripe.StripeClient, damage: dict[str, Any], finding: str) -> None:
    session_id = shared_client.v1.checkout.sessions.create(order()).id
    session = deepcopy(raw(shared_client, f"/v1/checkout/sessions/{session_id}"))

    assert finding in findings({**session, **damage}, stripe.checkout.Session)


def test_the_checker_finds_a_missing_field(shared_client: stripe.StripeClient) -> None:
    session_id = shared_client.v1.checkout.sessions.create(order()).id
    session = raw(shared_client, f"/v1/checkout/sessions/{session_id}")
    del session["expires_at"]

    assert findings(session, stripe.checkout.Session) == ["Session.expires_at: missing"]
