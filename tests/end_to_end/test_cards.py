"""Cards on the shop's own page: the PSP's fields take them, and none of our parts ever sees a number."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.end_to_end.shop import Shop, eventually

pytestmark = pytest.mark.stack

VISA, NO_FUNDS, ASKS_WHO_IT_IS = "4242424242424242", "4000000000009995", "4000002500003155"
MONTHLY = {"interval": "month"}


def card_order(shop: Shop, **changes: Any) -> dict[str, Any]:
    """An order whose secret is there: the API's 201."""
    order = shop.registered(payment_method="CARD", **changes)
    assert order["hosted_page_url"] is None
    return order


def fields_url(shop: Shop, order: dict[str, Any], step: str) -> str:
    """Where the PSP's card fields send what the customer types; the secret begins with the session's id."""
    session_id = order["client_secret"].partition("_secret")[0]
    return f"{shop.addresses.simulator_url}/elements/sessions/{session_id}/{step}"


def confirm(shop: Shop, order: dict[str, Any], number: str = VISA, *, step: str = "confirm") -> dict[str, Any]:
    """What the PSP's frame does when the customer presses the shop's button."""
    typed = {"email": "ada@example.com", "number": number, "expiry": "12 / 34", "cvc": "123"}
    form = {"client_secret": order["client_secret"], "step": step, **typed}
    answer = httpx.post(fields_url(shop, order, "confirm"), data=form, timeout=30)
    document: dict[str, Any] = answer.json()
    return document


def told_to_the_shop(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, "paid"), ({"payment_type": "RECC", "recurring": MONTHLY}, "active")],
    ids=["sale", "subscription"],
)
def test_a_card_typed_on_the_shops_page_pays(shop: Shop, changes: dict[str, Any], status: str) -> None:
    order = card_order(shop, **changes)
    before = told_to_the_shop(shop.get(order["checkout_url"]))

    confirmed = confirm(shop, order)

    assert confirmed["type"] == "success"
    paid = shop.wait_for_status(order["id"], status)
    assert (paid["amount_paid"], paid["client_secret"], paid["flags"]) == (4_990, None, [])
    assert shop.row(order["id"])["client_secret"] is None, "a secret that opens nothing any more is not kept"
    after = told_to_the_shop(shop.get(confirmed["return_url"]))
    assert (before["status"], after["status"]) == ("registered", status)
    assert (after["payment_order_id"], after["amount"]) == (order["id"], "4990")


def test_the_bank_asks_who_it_is_before_the_card_pays(shop: Shop) -> None:
    order = card_order(shop)

    asked = confirm(shop, order, ASKS_WHO_IT_IS)
    assert asked["type"] == "requires_action"
    assert shop.order(order["id"])["status"] == "registered"
    frame = shop.addresses.simulator_url + asked["path"]
    assert "authenticated" in httpx.post(frame, data={"decision": "approve"}, timeout=30).text

    assert confirm(shop, order, step="status")["type"] == "success"
    shop.wait_for_status(order["id"], "paid")


def test_a_card_that_is_declined_and_then_another_that_pays(shop: Shop) -> None:
    """A declined card is not the end: the fields stay open, and one payment is made."""
    order = card_order(shop)

    declined = confirm(shop, order, NO_FUNDS)
    assert (declined["type"], declined["error"]["code"]) == ("error", "paymentFailed")
    assert shop.order(order["id"])["client_secret"] == order["client_secret"]

    assert confirm(shop, order)["type"] == "success"
    paid = shop.wait_for_status(order["id"], "paid")
    assert [payment["amount"] for payment in paid["payments"]] == [4_990]


def test_a_bank_that_does_not_believe_the_customer_leaves_the_fields_open(shop: Shop) -> None:
    order = card_order(shop)

    asked = confirm(shop, order, ASKS_WHO_IT_IS)
    httpx.post(shop.addresses.simulator_url + asked["path"], data={"decision": "decline"}, timeout=30)

    assert confirm(shop, order, step="status")["type"] == "error"
    assert shop.order(order["id"])["status"] == "registered"
    assert confirm(shop, order)["type"] == "success"
    shop.wait_for_status(order["id"], "paid")


@pytest.mark.parametrize("how", ["expires", "is_cancelled"])
def test_when_the_session_closes_the_secret_is_cleared(shop: Shop, how: str) -> None:
    order = card_order(shop)
    session_id = shop.row(order["id"])["psp_token"]
    assert order["client_secret"].startswith(session_id)

    if how == "expires":
        shop.control("POST", f"/sessions/{session_id}/expire", {})
    else:
        assert shop.command(order["id"], "cancel", wait=20).status_code == 200

    closed = shop.wait_for_status(order["id"], "expired" if how == "expires" else "cancelled")
    assert closed["client_secret"] is None
    assert shop.row(order["id"])["client_secret"] is None
    assert confirm(shop, order)["type"] == "error"
    assert told_to_the_shop(shop.get(order["checkout_url"]))["status"] == closed["status"]


def test_after_an_expiry_the_next_attempt_has_fields_of_its_own(shop: Shop) -> None:
    order = card_order(shop)
    shop.control("POST", f"/sessions/{shop.row(order['id'])['psp_token']}/expire", {})
    shop.wait_for_status(order["id"], "expired")

    answer = shop.command(order["id"], "attempts", {"attempt": 2}, wait=20)

    assert answer.status_code == 201, answer.text
    second = answer.json()
    assert second["client_secret"] not in {None, order["client_secret"]}
    assert confirm(shop, second)["type"] == "success"
    assert shop.wait_for_status(order["id"], "paid")["attempt"] == 2


def test_no_card_number_and_no_secret_reaches_the_topics_that_others_read(shop: Shop) -> None:
    """The number goes from the customer's browser to the PSP; its webhooks hold the last four digits at most."""
    order = card_order(shop)
    assert confirm(shop, order)["type"] == "success"
    shop.wait_for_status(order["id"], "paid")

    def everything() -> str | None:
        told = shop.records("payments.status", order["id"])
        heard = shop.records("payments.webhooks", order["id"])
        texts = [(message.value() or b"").decode() for message in (*told, *heard)]
        return "\n".join(texts) if any('"paid"' in text for text in texts[: len(told)]) else None

    text = eventually(everything, "paid is told")
    assert VISA not in text
    assert not re.search(r"\b4242[ -]?4242[ -]?4242", text)
    public = [(message.value() or b"").decode() for message in shop.records("payments.status", order["id"])]
    assert all("_secret" not in each for each in public)
