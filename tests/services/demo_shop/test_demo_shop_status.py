"""The status of an order as it changes, and who may go on with it."""

from __future__ import annotations

import httpx
import pytest

from payonce.domain.terms import order_id_of
from tests.services.demo_shop.conftest import (
    FakeCheckoutApi,
    cart_in,
    fill_cart,
    problem,
)


async def test_the_status_is_followed_to_its_end(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    reference = await fill_cart(customer)
    await customer.post("/checkout", data={"reference": reference})
    url = f"/status/{order_id_of('demo-shop', reference)}"
    seen = []
    for status in ("created", "registered", "processing", "paid"):
        api.set_status(status)
        answer = (await customer.get(url)).json()
        seen.append((answer["status"], answer["step"], answer["may_pay"], answer["is_final"]))

    assert seen == [
        ("created", 0, True, False),
        ("registered", 1, True, False),
        ("processing", 2, False, False),
        ("paid", 3, False, True),
    ]


async def test_an_order_that_is_not_recorded_yet_is_created(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    answer = await customer.get(f"/status/{order_id_of('demo-shop', 'early')}")

    assert answer.json()["status"] == "created"


async def test_an_order_that_failed_leaves_the_cart_for_a_new_one(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    reference = await fill_cart(customer)
    await customer.post("/checkout", data={"reference": reference})
    api.set_status("expired")
    await customer.get(f"/status/{order_id_of('demo-shop', reference)}")

    assert cart_in(customer).count == 2
    assert cart_in(customer).reference != reference


async def test_only_its_customer_may_go_on_with_an_order(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    reference = await fill_cart(customer)
    await customer.post("/checkout", data={"reference": reference})
    customer.cookies.clear()
    answer = await customer.get(f"/status/{order_id_of('demo-shop', reference)}")
    stolen = await customer.post("/checkout", data={"reference": reference})

    assert answer.json()["may_pay"] is False
    assert stolen.headers["location"] == "/cart?changed"


async def test_a_status_that_cannot_be_asked_for_is_not_invented(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    api.failures.append(problem(503, "away"))
    answer = await customer.get(f"/status/{order_id_of('demo-shop', 'r')}")

    assert answer.status_code == 503
    assert "status" not in answer.json()


@pytest.mark.parametrize("order_id", ["ord_x", "..%2F..%2Fhealthz", "ord_" + "A" * 26, "%E2%82%AC"])
async def test_what_is_no_order_id_is_not_sent_to_the_api(
    api: FakeCheckoutApi, customer: httpx.AsyncClient, order_id: str
) -> None:
    assert (await customer.get(f"/status/{order_id}")).status_code == 404
    assert not api.keys
