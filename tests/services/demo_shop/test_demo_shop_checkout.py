"""Paying: the order of the cart, placed once, and what the payment service says to it."""

from __future__ import annotations

import socket

import httpx

from sandbox.demo_shop.cart import COOKIE
from sandbox.demo_shop.catalogue import PRODUCTS
from tests.services.demo_shop.conftest import (
    API_KEY,
    SHOP_URL,
    FakeCheckoutApi,
    cart_in,
    customer_of,
    fill_cart,
    problem,
    reference_on,
    returned,
)


async def test_from_an_empty_cart_to_paid(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    reference = await fill_cart(customer)
    checkout = await customer.post("/checkout", data={"reference": reference})
    (order_id, _), *others = api.orders.items()

    assert not others
    assert checkout.status_code == 303
    assert checkout.headers["location"] == f"http://pay.invalid/{order_id}?t=x"
    assert api.keys == {f"Bearer {API_KEY}"}
    assert api.received == [
        {
            "reference": reference,
            "amount": 2 * PRODUCTS["mug"].prices["EUR"],
            "currency": "EUR",
            "payment_type": "SALE",
            "payment_method": "APM",
            "redirect_url": f"{SHOP_URL}/thanks",
            "description": "2 x Morning mug",
        }
    ]

    api.set_status("paid")
    thanks = await customer.get("/thanks", params=returned(reference))
    assert thanks.status_code == 200
    assert 'data-status="paid"' in thanks.text
    assert "a redirect is no proof of payment" in thanks.text
    assert (await customer.get(f"/status/{order_id}")).json()["status"] == "paid"
    assert COOKIE in customer.cookies
    assert cart_in(customer).count == 0
    assert reference in (await customer.get("/orders")).text


async def test_pay_pressed_twice_is_one_order(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    reference = await fill_cart(customer)
    answers = [await customer.post("/checkout", data={"reference": reference}) for _ in range(2)]

    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert len(api.orders) == 1


async def test_after_a_503_the_page_repeats_the_same_request(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    """The order may have been taken although the answer says 503: only the same reference is safe to send again."""
    api.failures.append(problem(503, "the log does not answer"))
    failed = await customer.post("/checkout", data={"reference": await fill_cart(customer)})

    assert failed.status_code == 503
    assert "Nothing has been charged" in failed.text

    again = await customer.post("/checkout", data={"reference": reference_on(failed)})
    assert again.status_code == 303
    assert len(api.received) == 2
    assert api.received[0] == api.received[1]


async def test_an_api_that_is_not_there_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    async with customer_of(f"http://127.0.0.1:{closed}") as customer:
        reference = await fill_cart(customer)
        failed = await customer.post("/checkout", data={"reference": reference})

    assert failed.status_code == 503
    assert reference_on(failed) == reference


async def test_a_refused_order_shows_what_the_problem_document_says(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    errors = ({"field": "redirect_url", "detail": "has an origin that is <not> registered"},)
    api.failures.append(problem(422, "redirect_url is wrong", errors))
    page = await customer.post("/checkout", data={"reference": await fill_cart(customer)})

    assert page.status_code == 502
    assert "redirect_url is wrong" in page.text
    assert "redirect_url: has an origin that is &lt;not&gt; registered" in page.text


async def test_a_changed_cart_is_another_order(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    old = await fill_cart(customer)
    await customer.post("/cart/quantity", data={"sku": "mug", "quantity": "1"})
    stale = await customer.post("/checkout", data={"reference": old})

    assert stale.headers["location"] == "/cart?changed"
    assert not api.received
    assert reference_on(await customer.get("/cart?changed")) != old


async def test_amounts_follow_the_currency(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    """Yen have no decimals: 6000 minor units are six thousand yen."""
    await fill_cart(customer)
    await customer.post("/currency", data={"currency": "JPY", "back": "cart"})
    page = await customer.get("/cart")
    await customer.post("/checkout", data={"reference": reference_on(page)})

    assert "¥6,000" in page.text
    assert (api.received[0]["amount"], api.received[0]["currency"]) == (6000, "JPY")
