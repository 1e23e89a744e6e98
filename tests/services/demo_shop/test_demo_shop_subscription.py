"""The shop's subscription: ordered by itself, paid again and again."""

from __future__ import annotations

import re

import httpx
import pytest

from sandbox.demo_shop.catalogue import PRODUCTS
from tests.services.demo_shop.conftest import FakeCheckoutApi, cart_in, fill_cart, reference_on


async def join(customer: httpx.AsyncClient, way: str = "page") -> str:
    """Put the club into the cart; return the reference."""
    await customer.post("/cart/add", data={"sku": "club"})
    await customer.post("/cart/way", data={"way": way})
    return reference_on(await customer.get("/cart"))


@pytest.mark.parametrize(("way", "method"), [("page", "APM"), ("card", "CARD")])
async def test_the_club_is_ordered_as_a_subscription(
    api: FakeCheckoutApi, customer: httpx.AsyncClient, way: str, method: str
) -> None:
    await customer.post("/checkout", data={"reference": await join(customer, way)})
    (body,) = api.received

    assert (body["payment_type"], body["payment_method"]) == ("RECC", method)
    assert (body["amount"], body["recurring"]) == (PRODUCTS["club"].prices["EUR"], {"interval": "month"})
    assert body["description"] == "1 x Tea club"


async def test_the_cart_says_how_often_it_is_paid(customer: httpx.AsyncClient) -> None:
    await join(customer)

    assert "Total, every month" in (await customer.get("/cart")).text
    assert re.search(r"€15.00 <[^>]+>a month<", (await customer.get("/")).text)


async def test_the_club_and_things_take_each_others_place(customer: httpx.AsyncClient) -> None:
    await fill_cart(customer)
    await join(customer)
    club = dict(cart_in(customer).quantities)
    await customer.post("/cart/add", data={"sku": "tin"})

    assert club == {"club": 1}
    assert cart_in(customer).quantities == {"tin": 1}


async def test_a_subscription_that_has_begun_is_bought(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    await customer.post("/checkout", data={"reference": await join(customer)})
    (order_id,) = api.orders
    api.set_status("active")
    page = await customer.get(f"/orders/{order_id}")

    assert 'data-status="active"' in page.text
    assert "every month" in page.text
    assert cart_in(customer).count == 0
