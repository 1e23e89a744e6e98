"""Vouchers: the session is complete at once, the money comes when the customer pays, or never."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe_simulator.control_client import ControlError
from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import Receiver, order

DAY = 86_400


def opened(client: stripe.StripeClient, currency: str = "brl") -> stripe.checkout.Session:
    item = {"price_data": {"currency": currency, "unit_amount": 900, "product_data": {"name": "Tea"}}, "quantity": 1}
    return client.v1.checkout.sessions.create(order(line_items=[item]))


def event_types(client: stripe.StripeClient) -> list[str]:
    return [str(event.type) for event in client.v1.events.list({"limit": 100}).data][::-1]


@pytest.mark.parametrize(("currency", "method"), [("brl", "boleto"), ("mxn", "oxxo")])
def test_a_voucher_is_paid_days_later(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver, currency: str, method: str
) -> None:
    session = opened(client, currency)
    assert session.payment_method_types == ["card", method]
    row = simulator.control.pay(session.id, method="voucher")
    assert (row["status"], row["payment_status"]) == ("complete", "unpaid")
    intent = client.v1.payment_intents.retrieve(row["payment_intent"])
    assert intent.status == "requires_action"
    assert intent.next_action is not None
    assert intent.next_action.type == f"{method}_display_details"
    assert client.v1.charges.list().data == []

    simulator.control.advance_clock(3 * DAY)

    (told,) = receiver.wait_for_type("checkout.session.async_payment_succeeded")
    assert told.event["data"]["object"]["payment_status"] == "paid"
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    assert [charge.amount_captured for charge in client.v1.charges.list().data] == [900]


def test_a_voucher_that_nobody_pays_expires(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    row = simulator.control.pay(opened(client).id, method="voucher", succeed=False)
    simulator.control.advance_clock(5 * DAY)
    assert client.v1.payment_intents.retrieve(row["payment_intent"]).status == "requires_action"
    simulator.control.advance_clock(DAY)

    intent = client.v1.payment_intents.retrieve(row["payment_intent"])
    assert (intent.status, intent.next_action) == ("requires_payment_method", None)
    assert event_types(client)[-2:] == ["payment_intent.payment_failed", "checkout.session.async_payment_failed"]
    assert client.v1.charges.list().data == []


@pytest.mark.parametrize("succeed", [True, False])
def test_a_voucher_is_settled_once(simulator: SimulatorServer, client: stripe.StripeClient, succeed: bool) -> None:
    session = opened(client)
    simulator.control.pay(session.id, method="voucher")
    simulator.control.settle(session.id, succeed=succeed)
    simulator.control.advance_clock(9 * DAY)

    assert sum(name.startswith("checkout.session.async_payment") for name in event_types(client)) == 1
    with pytest.raises(ControlError) as caught:
        simulator.control.settle(session.id, succeed=True)
    assert caught.value.status == 409


def test_three_d_secure_is_no_voucher(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    session = opened(client)
    simulator.control.pay(session.id, card="4000002500003155", authenticate="wait")

    with pytest.raises(ControlError, match="no delayed payment"):
        simulator.control.settle(session.id, succeed=True)


@pytest.mark.parametrize(("email", "status"), [("jenny@example.com", "paid"), ("fill_never@example.com", "unpaid")])
def test_the_customers_address_says_what_becomes_of_the_voucher(
    simulator: SimulatorServer, client: stripe.StripeClient, email: str, status: str
) -> None:
    session = opened(client)
    form: dict[str, Any] = {"method": "boleto", "email": email, "confirmation": "0"}
    assert "You get a voucher" in httpx.get(str(session.url)).text
    assert httpx.post(str(session.url), data=form).status_code == 303

    simulator.control.advance_clock(9 * DAY)

    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == status
