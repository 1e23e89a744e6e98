"""Checkout Sessions through the official client: create, retrieve, list, expire, and what is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
import stripe

from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import order


def price(**changes: Any) -> dict[str, Any]:
    data = {"currency": "eur", "unit_amount": 1250, "product_data": {"name": "Tea"}, **changes}
    return {"price_data": {name: value for name, value in data.items() if value is not None}, "quantity": 1}


def refusal(client: stripe.StripeClient, parameters: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(parameters)
    assert caught.value.http_status == 400
    return caught.value


def test_a_created_session_is_open_and_has_no_payment_intent(shared_client: stripe.StripeClient) -> None:
    session = shared_client.v1.checkout.sessions.create(order())

    assert session.id.startswith("cs_test_")
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency, session.livemode) == (2500, "eur", False)
    assert session.url is not None
    assert session.url.endswith(f"/c/pay/{session.id}")
    assert session.expires_at - session.created == 24 * 3600
    assert session.metadata is not None
    assert session.metadata.to_dict() == {"order_id": "ord_1", "attempt": "1"}
    assert session.payment_method_types == ["card", "ideal", "sepa_debit"]


def test_a_created_session_emits_no_event(client: stripe.StripeClient) -> None:
    client.v1.checkout.sessions.create(order())

    assert client.v1.events.list().data == []


def test_elements_mode_has_a_client_secret_and_no_url(shared_client: stripe.StripeClient) -> None:
    session = shared_client.v1.checkout.sessions.create(
        order(ui_mode="elements", return_url="http://shop/return", success_url=None, cancel_url=None)
    )

    assert session.url is None
    assert session.client_secret is not None
    assert session.client_secret.startswith(f"{session.id}_secret_")


def test_the_payment_methods_are_filtered(shared_client: stripe.StripeClient) -> None:
    allowed = shared_client.v1.checkout.sessions.create(order(allowed_payment_method_types=["card"]))
    excluded = shared_client.v1.checkout.sessions.create(order(excluded_payment_method_types=["sepa_debit"]))

    assert allowed.payment_method_types == ["card"]
    assert excluded.payment_method_types == ["card", "ideal"]


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"colour": "red", "taste": "sour"}, "parameter_unknown", "colour"),
        (
            {"payment_method_types": ["card"]},
            "payment_method_types_no_longer_supported",
            "payment_method_types",
        ),
        ({"mode": None}, "parameter_missing", "mode"),
        ({"line_items": None}, "parameter_missing", "line_items"),
        ({"success_url": None}, "parameter_missing", "success_url"),
        ({"success_url": "shop.example"}, "url_invalid", "success_url"),
        ({"ui_mode": "elements", "success_url": None, "cancel_url": None}, "parameter_missing", "return_url"),
        ({"ui_mode": "elements", "return_url": "http://x"}, None, "success_url"),
        ({"return_url": "http://x"}, None, "return_url"),
        ({"mode": "setup"}, "not_simulated", "mode"),
        ({"mode": "subscription"}, None, "payment_intent_data"),
        ({"ui_mode": "embedded_page"}, "not_simulated", "ui_mode"),
        ({"ui_mode": "hosted"}, None, "ui_mode"),
        ({"discounts": [{"coupon": "X"}]}, "not_simulated", "discounts"),
        ({"customer_email": "nobody"}, "email_invalid", "customer_email"),
        ({"client_reference_id": "x" * 201}, None, "client_reference_id"),
        ({"expires_at": "soon"}, "parameter_invalid_integer", "expires_at"),
        ({"metadata": {"k" * 41: "v"}}, None, f"metadata[{'k' * 41}]"),
        ({"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ({"metadata": {f"k{number}": "v" for number in range(51)}}, None, "metadata"),
        (
            {"line_items": [price(unit_amount=-1)]},
            "parameter_invalid_integer",
            "line_items[0][price_data][unit_amount]",
        ),
        ({"line_items": [price(unit_amount=None)]}, "parameter_missing", "line_items[0][price_data][unit_amount]"),
        ({"line_items": [price(currency="xyz")]}, None, "line_items[0][price_data][currency]"),
        ({"line_items": [price(currency="kwd", unit_amount=5124)]}, None, "line_items[0][price_data][unit_amount]"),
        ({"line_items": [price(currency="isk", unit_amount=550)]}, None, "line_items[0][price_data][unit_amount]"),
        ({"line_items": [price(product_data=None)]}, "parameter_missing", "line_items[0][price_data][product_data]"),
        ({"line_items": [price(recurring={"interval": "month"})]}, None, "line_items[0][price_data][recurring]"),
        ({"line_items": [price(), price(currency="usd")]}, None, "line_items"),
        ({"line_items": [{**price(), "quantity": 0}]}, None, "line_items[0][quantity]"),
        ({"line_items": [price()] * 101}, None, "line_items"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(
    shared_simulator: SimulatorServer,
    shared_client: stripe.StripeClient,
    changes: dict[str, Any],
    code: str | None,
    param: str,
) -> None:
    made = len(shared_simulator.control.sessions())

    error = refusal(shared_client, order(**changes))

    assert (error.code, error.param) == (code, param)
    assert len(shared_simulator.control.sessions()) == made


@pytest.mark.parametrize(("seconds", "accepted"), [(29 * 60, False), (31 * 60, True), (86_300, True), (86_460, False)])
def test_expires_at_lies_between_30_minutes_and_24_hours(
    shared_client: stripe.StripeClient, seconds: int, accepted: bool
) -> None:
    parameters = order(expires_at=int(time.time()) + seconds)

    if accepted:
        assert shared_client.v1.checkout.sessions.create(parameters).expires_at == parameters["expires_at"]
    else:
        assert refusal(shared_client, parameters).param == "expires_at"


@pytest.mark.parametrize(
    ("currency", "amount"), [("jpy", 500), ("kwd", 5120), ("isk", 500), ("ugx", 500), ("huf", 199)]
)
def test_amounts_are_taken_as_stripe_counts_them(
    shared_client: stripe.StripeClient, currency: str, amount: int
) -> None:
    session = shared_client.v1.checkout.sessions.create(
        order(line_items=[price(currency=currency, unit_amount=amount)])
    )

    assert (session.amount_total, session.currency) == (amount, currency)


def test_an_unknown_session_is_404(shared_client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shared_client.v1.checkout.sessions.retrieve("cs_test_nothing")

    assert (caught.value.http_status, caught.value.code, caught.value.param) == (404, "resource_missing", "session")


def test_expiring_an_open_session_takes_its_url_and_emits_the_event_with_its_cause(client: stripe.StripeClient) -> None:
    session = client.v1.checkout.sessions.create(order())

    expired = client.v1.checkout.sessions.expire(session.id, {}, {"idempotency_key": "expire-1"})

    assert (expired.status, expired.url) == ("expired", None)
    (event,) = client.v1.events.list({"type": "checkout.session.expired"}).data
    assert event.request is not None
    assert event.request.idempotency_key == "expire-1"
    assert str(event.request.id).startswith("req_")


def test_only_an_open_session_can_be_expired(
    shared_simulator: SimulatorServer, shared_client: stripe.StripeClient
) -> None:
    session = shared_client.v1.checkout.sessions.create(order())
    shared_simulator.control.pay(session.id)

    with pytest.raises(stripe.InvalidRequestError, match="complete"):
        shared_client.v1.checkout.sessions.expire(session.id)


def test_the_list_is_newest_first_and_pages_both_ways(client: stripe.StripeClient) -> None:
    made = [client.v1.checkout.sessions.create(order()).id for _ in range(5)]

    newest = client.v1.checkout.sessions.list({"limit": 2})
    older = client.v1.checkout.sessions.list({"limit": 2, "starting_after": newest.data[-1].id})
    oldest = client.v1.checkout.sessions.list({"limit": 2, "starting_after": older.data[-1].id})
    back = client.v1.checkout.sessions.list({"limit": 2, "ending_before": oldest.data[0].id})

    assert [session.id for page in (newest, older, oldest) for session in page.data] == made[::-1]
    assert (newest.has_more, older.has_more, oldest.has_more) == (True, True, False)
    assert [session.id for session in back.data] == [session.id for session in older.data]
    assert [session.id for session in client.v1.checkout.sessions.list({"limit": 2}).auto_paging_iter()] == made[::-1]


def test_the_list_filters(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    first = client.v1.checkout.sessions.create(order())
    simulator.control.advance_clock(100)
    second = client.v1.checkout.sessions.create(order())
    intent = simulator.control.pay(second.id)["payment_intent"]

    def found(**filters: Any) -> list[str]:
        parameters: Any = filters
        return [session.id for session in client.v1.checkout.sessions.list(parameters).data]

    assert found(status="open") == [first.id]
    assert found(payment_intent=intent) == [second.id]
    assert found(payment_intent="pi_none") == []
    assert found(created={"gte": second.created}) == [second.id]
    assert found(created={"lt": second.created}) == [first.id]
    assert found(created={"gt": first.created, "lte": second.created}) == [second.id]
    assert found(created=first.created) == [first.id]
    assert found(customer_details={"email": "customer@example.com"}) == [second.id]


def test_a_list_cannot_be_filtered_by_metadata(shared_client: stripe.StripeClient) -> None:
    parameters: Any = {"client_reference_id": "ord_1"}

    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter"):
        shared_client.v1.checkout.sessions.list(parameters)


def test_metadata_of_the_payment_intent_is_copied_to_its_charge(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    session = client.v1.checkout.sessions.create(order())
    intent = client.v1.payment_intents.retrieve(simulator.control.pay(session.id)["payment_intent"])
    (charge,) = client.v1.charges.list({"payment_intent": intent.id}).data

    assert intent.metadata.to_dict() == {"order_id": "ord_1"}
    assert charge.metadata.to_dict() == {"order_id": "ord_1"}
    assert charge.id == intent.latest_charge
    assert client.v1.charges.retrieve(charge.id).paid is True
    assert [item.id for item in client.v1.payment_intents.list().data] == [intent.id]
