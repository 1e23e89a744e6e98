"""Lives of an order, from the POST to the status that stays."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from payonce.catalog import SCHEMAS
from tests.end_to_end.shop import Shop, body_of, eventually, session_id, type_of

pytestmark = pytest.mark.stack


def test_an_order_that_is_paid(shop: Shop) -> None:
    order = shop.registered()

    shop.pay(order)

    paid = shop.wait_for_status(order["id"], "paid")
    assert (paid["amount"], paid["currency"], paid["amount_paid"]) == (4_990, "eur", 4_990)
    row = shop.row(order["id"])
    assert (row["payment_order_status"], row["psp_token"]) == ("paid", session_id(order))
    assert row["hosted_page_url"] is None, "a page that cannot be used any more is not kept"


def test_an_order_that_is_declined_and_then_paid(shop: Shop) -> None:
    """A failed attempt inside an open session is not the end of the order."""
    order = shop.registered()

    shop.control("POST", f"/sessions/{session_id(order)}/decline", {})
    assert shop.order(order["id"])["status"] == "registered"
    shop.pay(order)

    shop.wait_for_status(order["id"], "paid")


def test_an_order_whose_session_expires(shop: Shop) -> None:
    order = shop.registered()

    shop.control("POST", f"/sessions/{session_id(order)}/expire", {})

    assert shop.wait_for_status(order["id"], "expired")["amount_paid"] == 0


@pytest.mark.parametrize(("succeed", "status"), [(True, "paid"), (False, "failed")])
def test_a_delayed_debit_is_processing_until_it_is_settled(shop: Shop, succeed: bool, status: str) -> None:
    order = shop.registered()

    shop.pay(order, method="sepa_debit")
    shop.wait_for_status(order["id"], "processing")
    shop.control("POST", f"/sessions/{session_id(order)}/settle", {"succeed": succeed})

    shop.wait_for_status(order["id"], status)


def test_webhooks_twice_and_out_of_order_change_nothing(shop: Shop) -> None:
    """Any order and any duplication of events gives the same row."""
    shop.control("POST", "/webhooks", {"duplicate_probability": 1, "twin_probability": 1, "hold": 5, "hold_seconds": 1})
    orders = [shop.registered() for _ in range(5)]

    for order in orders:
        shop.pay(order)

    for order in orders:
        row = shop.wait_for_status(order["id"], "paid")
        assert (row["amount_paid"], row["flags"]) == (4_990, [])


def test_the_same_order_twice_is_one_order(shop: Shop) -> None:
    body = shop.body()

    first, second = shop.post(body, wait=20), shop.post(body, wait=20)

    assert first.json()["id"] == second.json()["id"]
    assert first.json()["hosted_page_url"] == second.json()["hosted_page_url"]
    assert shop.sessions_of(first.json()["id"]) == 1


def test_a_payment_of_another_amount_is_flagged_and_never_paid(shop: Shop) -> None:
    """Only money that equals the order's terms makes it paid."""
    order = shop.registered()

    shop.pay(order, amount_override=100)

    def flagged_order() -> dict[str, object] | None:
        found = shop.order(order["id"])
        return found if found.get("flags") else None

    flagged = eventually(flagged_order, "flag")
    assert (flagged["status"], flagged["flags"]) == ("processing", ["amount_mismatch"])


def test_a_payment_link_that_names_our_order_only_as_client_reference_is_foreign(shop: Shop) -> None:
    """Anyone can put a client_reference_id into a payment link: it proves nothing."""
    order = shop.registered()

    shop.control("POST", "/foreign_sessions", {"client_reference_id": order["id"], "amount": 4_990, "currency": "eur"})
    shop.control("POST", f"/sessions/{session_id(order)}/decline", {})
    eventually(
        lambda: any(
            thing.get("client_reference_id") == order["id"] and not thing.get("metadata")
            for thing in shop.webhook_objects()
        ),
        "the foreign event is in the log",
    )
    other = shop.registered()
    shop.pay(other)
    shop.wait_for_status(other["id"], "paid")

    assert shop.order(order["id"])["status"] == "registered"


def test_the_public_topic_tells_the_life_to_any_kafka_client(shop: Shop) -> None:
    """`ce_*` headers, a body that fits the published schema, versions that only grow, nothing personal."""
    order = shop.registered(customer_email="ada@example.com")
    shop.pay(order)
    shop.wait_for_status(order["id"], "paid")
    schema = json.loads((SCHEMAS / "messages" / "OrderStatusChanged.v1.schema.json").read_text())
    validator = jsonschema_rs.Draft202012Validator(schema)

    def told() -> list[dict[str, object]]:
        messages = shop.records("payments.status", order["id"])
        assert all(type_of(message) == "payonce.OrderStatusChanged.v1" for message in messages)
        bodies = [body_of(message) for message in messages]
        return bodies if bodies and bodies[-1]["payment_order_status"] == "paid" else []

    bodies = eventually(told, "paid is told")
    for body in bodies:
        validator.validate(body)
        assert "ada@example.com" not in str(body)
        assert "http" not in str(body)
    versions = [body["version"] for body in bodies]
    assert versions == sorted(set(versions))  # type: ignore[type-var]
