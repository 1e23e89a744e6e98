"""What scripts can make customers do, and what the clock does by itself."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe_simulator.control_client import ControlError
from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import Receiver, order

DAY = 86_400


def created(client: stripe.StripeClient, **changes: Any) -> str:
    return client.v1.checkout.sessions.create(order(**changes)).id


def event_types(client: stripe.StripeClient) -> list[str]:
    """Oldest first."""
    return [str(event.type) for event in client.v1.events.list({"limit": 100}).data][::-1]


def test_a_session_expires_by_the_clock_and_says_when(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    session_id = created(client)
    expires_at = client.v1.checkout.sessions.retrieve(session_id).expires_at
    simulator.control.advance_clock(2 * DAY)

    assert client.v1.checkout.sessions.retrieve(session_id).status == "expired"
    (event,) = client.v1.events.list({"type": "checkout.session.expired"}).data
    assert expires_at <= event.created <= expires_at + 5
    with pytest.raises(ControlError) as caught:
        simulator.control.pay(session_id)
    assert caught.value.status == 409


def test_a_paid_session_does_not_expire(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    session_id = created(client)
    simulator.control.pay(session_id)
    simulator.control.advance_clock(2 * DAY)

    assert client.v1.checkout.sessions.retrieve(session_id).status == "complete"


def test_a_decline_leaves_the_session_open_and_the_next_try_uses_the_same_payment_intent(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    session_id = created(client)
    declined = simulator.control.decline(session_id)
    intent = client.v1.payment_intents.retrieve(declined["payment_intent"])
    assert (declined["status"], declined["error"]) == ("open", "Your card was declined.")
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.decline_code == "generic_decline"

    paid = simulator.control.pay(session_id)

    assert (paid["status"], paid["payment_intent"]) == ("complete", intent.id)
    assert event_types(client) == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    assert [charge.status for charge in client.v1.charges.list({"payment_intent": intent.id}).data] == [
        "succeeded",
        "failed",
    ]


def test_expiring_after_a_decline_cancels_the_payment_intent(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    session_id = created(client)
    intent_id = simulator.control.decline(session_id)["payment_intent"]
    simulator.control.expire(session_id)

    assert client.v1.payment_intents.retrieve(intent_id).status == "canceled"
    assert event_types(client)[-2:] == ["payment_intent.canceled", "checkout.session.expired"]


@pytest.mark.parametrize("succeed", [True, False])
def test_a_delayed_debit_is_settled_by_the_clock(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver, succeed: bool
) -> None:
    session_id = created(client)
    pending = simulator.control.pay(session_id, method="delayed", succeed=succeed)
    assert (pending["status"], pending["payment_status"]) == ("complete", "unpaid")
    assert client.v1.payment_intents.retrieve(pending["payment_intent"]).status == "processing"
    assert "checkout.session.async_payment" not in " ".join(event_types(client))

    simulator.control.advance_clock(3 * DAY)

    outcome = "async_payment_succeeded" if succeed else "async_payment_failed"
    (settled,) = receiver.wait_for_type(f"checkout.session.{outcome}")
    assert settled.event["data"]["object"]["payment_status"] == ("paid" if succeed else "unpaid")
    session = client.v1.checkout.sessions.retrieve(session_id)
    assert (session.status, session.payment_status) == ("complete", "paid" if succeed else "unpaid")
    intent = client.v1.payment_intents.retrieve(pending["payment_intent"])
    assert intent.status == ("succeeded" if succeed else "requires_payment_method")


@pytest.mark.parametrize(("account", "failed_after"), [("DE62370400440532013001", 3), ("DE78370400440532013004", 2)])
def test_a_debit_fails_when_its_account_says_so(
    simulator: SimulatorServer, client: stripe.StripeClient, account: str, failed_after: int
) -> None:
    """One account is as quick as debits are set to be, the other takes two days whatever is set."""
    session = client.v1.checkout.sessions.create(order())
    page = httpx.get(str(session.url)).text
    confirmation = page.partition('name="confirmation" value="')[2].partition('"')[0]
    typed = {"method": "sepa_debit", "email": "jenny@example.com", "account": account}
    httpx.post(str(session.url), data={**typed, "confirmation": confirmation})
    days = []
    for _ in range(4):
        simulator.control.advance_clock(DAY)
        days.append("checkout.session.async_payment_failed" in event_types(client))

    assert days.index(True) + 1 == failed_after


def test_a_delayed_debit_settled_by_hand_is_not_settled_again(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    session_id = created(client)
    simulator.control.pay(session_id, method="delayed")
    simulator.control.settle(session_id, succeed=False)
    simulator.control.advance_clock(4 * DAY)

    assert event_types(client).count("checkout.session.async_payment_failed") == 1
    assert event_types(client).count("checkout.session.async_payment_succeeded") == 0
    with pytest.raises(ControlError) as caught:
        simulator.control.settle(session_id, succeed=True)
    assert caught.value.status == 409


def test_a_payment_of_another_amount(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    session_id = created(client)
    row = simulator.control.pay(session_id, amount_override=1)

    assert client.v1.checkout.sessions.retrieve(session_id).amount_total == 1
    assert client.v1.payment_intents.retrieve(row["payment_intent"]).amount_received == 1


def test_a_foreign_payment_names_us_only_in_client_reference_id(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    row = simulator.control.pay_foreign(client_reference_id="ord_1", amount=999, currency="eur")

    (completed,) = receiver.wait_for_type("checkout.session.completed")
    session = completed.event["data"]["object"]
    assert session["id"] == row["id"]
    assert (session["client_reference_id"], session["metadata"]) == ("ord_1", {})
    assert str(session["payment_link"]).startswith("plink_")
    assert client.v1.checkout.sessions.retrieve(row["id"]).amount_total == 999


def test_an_order_of_nothing_is_complete_without_a_payment(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    item = {"price_data": {"currency": "eur", "unit_amount": 0, "product_data": {"name": "Gift"}}, "quantity": 1}
    session_id = created(client, line_items=[item])
    row = simulator.control.pay(session_id)

    assert (row["payment_status"], row["payment_intent"]) == ("no_payment_required", None)
    assert event_types(client) == ["checkout.session.completed"]


def test_a_method_that_is_not_offered_is_refused(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    session_id = created(client, allowed_payment_method_types=["card"])

    with pytest.raises(ControlError, match="offers card, not delayed"):
        simulator.control.pay(session_id, method="delayed")


def test_the_statistics_say_what_happened(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    paid, declined = created(client), created(client, metadata={"order_id": "ord_2"})
    simulator.control.pay(paid)
    simulator.control.decline(declined)

    stats = simulator.control.stats()

    assert stats["sessions"] == {"open": 1, "complete": 1}
    assert stats["sessions_per_order"] == {"ord_1": 1, "ord_2": 1}
    assert stats["open_sessions_per_order"] == {"ord_2": 1}
    assert stats["payments"] == {"eur": {"count": 1, "amount": 2500}}
    assert stats["calls"]["checkout.sessions.create"] == 2


def test_the_clock_does_not_go_back(simulator: SimulatorServer) -> None:
    with pytest.raises(ControlError, match="only moves forward"):
        simulator.control.advance_clock(-1)


def test_an_unknown_session_is_404(simulator: SimulatorServer) -> None:
    with pytest.raises(ControlError) as caught:
        simulator.control.pay("cs_test_none")

    assert caught.value.status == 404
