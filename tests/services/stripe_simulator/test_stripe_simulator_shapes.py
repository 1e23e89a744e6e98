"""The double's objects have the shapes that the installed stripe package declares."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import stripe

from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import order
from tests.services.stripe_simulator.shapes import absent_fields, findings

# Shown by Stripe only where they apply: expansions, Connect, card-present and the like.
SHAPES: dict[str, type[stripe.StripeObject]] = {
    "checkout.session": stripe.checkout.Session,
    "payment_intent": stripe.PaymentIntent,
    "charge": stripe.Charge,
}
NOT_SHOWN: dict[type[stripe.StripeObject], set[str]] = {
    stripe.checkout.Session: {"line_items"},
    stripe.PaymentIntent: set(),
    stripe.Charge: {"authorization_code", "level3", "refunds", "transfer"},
    stripe.Event: {"account", "context"},
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
