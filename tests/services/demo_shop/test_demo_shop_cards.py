"""Paying by card on the shop's own page: who sees the fields, when, and what that page lets in."""

from __future__ import annotations

import httpx
import pytest

from payonce.domain.terms import order_id_of
from sandbox.demo_shop.card_fields import CardFields
from tests.services.demo_shop.conftest import (
    CARD_FIELDS,
    FakeCheckoutApi,
    cart_in,
    customer_of,
    fill_cart,
    problem,
    reference_on,
    served,
)

SECRET = "cs_test_1_secret_2"


async def choose_card(customer: httpx.AsyncClient) -> str:
    """Fill the cart, choose to pay by card here, and return the reference."""
    await fill_cart(customer)
    assert (await customer.post("/cart/way", data={"way": "card"})).status_code == 303
    return reference_on(await customer.get("/cart"))


async def check_out(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> str:
    """Place the order of a cart paid by card, registered at the PSP; return where the shop sends its customer."""
    checkout = await customer.post("/checkout", data={"reference": await choose_card(customer)})
    api.set_status("registered", client_secret=SECRET)
    return checkout.headers["location"]


async def test_a_card_order_is_paid_on_the_shops_own_page(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    reference = await choose_card(customer)
    checkout = await customer.post("/checkout", data={"reference": reference})
    (body,) = api.received
    api.set_status("registered", client_secret=SECRET)
    page = await customer.get(checkout.headers["location"])

    assert checkout.headers["location"] == f"/pay/{order_id_of('demo-shop', reference)}"
    assert (body["payment_type"], body["payment_method"]) == ("SALE", "CARD")
    assert page.status_code == 200
    assert f'data-secret="{SECRET}"' in page.text
    assert f'<script src="{CARD_FIELDS.script_url}">' in page.text


async def test_only_the_card_page_lets_the_providers_script_in(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    page = await customer.get(await check_out(api, customer))
    cart, policy = await customer.get("/cart"), dict[str, list[str]]()
    for directive in page.headers["content-security-policy"].split("; "):
        name, *sources = directive.split(" ")
        policy[name] = sources

    host = "http://psp.invalid:8431"
    assert {name for name, sources in policy.items() if host in sources} == {"script-src", "frame-src", "connect-src"}
    others = {source for sources in policy.values() for source in sources if not source.startswith("'nonce-")}
    assert others == {host, "'none'", "'self'"}
    assert page.headers["cache-control"] == "no-store"
    assert host not in cart.headers["content-security-policy"]


def test_stripes_own_fields_need_stripes_hosts_only() -> None:
    """As https://docs.stripe.com/security/guide lists them."""
    policy = CardFields("https://js.stripe.com/basil/stripe.js", "pk_live_x").policy

    assert policy == {
        "script-src": ("https://js.stripe.com", "https://*.js.stripe.com"),
        "frame-src": ("https://js.stripe.com", "https://*.js.stripe.com", "https://hooks.stripe.com"),
        "connect-src": ("https://api.stripe.com",),
    }


async def test_the_fields_are_waited_for_until_their_secret_is_stored(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    url = await check_out(api, customer)
    known = dict(api.orders)
    seen = []
    for state in ("unknown", "created", "away", "registered"):
        api.orders = {} if state == "unknown" else known
        api.set_status(state, client_secret=SECRET if state == "registered" else None)
        api.failures = [problem(503, "the database is away")] if state == "away" else []
        page = await customer.get(url)
        seen.append((page.headers.get("refresh"), "the database is away" in page.text, SECRET in page.text))

    assert seen == [("1", False, False), ("1", False, False), ("2", True, False), (None, False, True)]


async def test_the_secret_is_shown_to_its_customer_only(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    url = await check_out(api, customer)
    customer.cookies.clear()
    await fill_cart(customer)
    page = await customer.get(url)

    assert page.status_code == 404
    assert SECRET not in page.text


@pytest.mark.parametrize("status", ["paid", "processing", "expired", "cancelled"])
async def test_what_cannot_be_paid_any_more_leads_to_the_order(
    api: FakeCheckoutApi, customer: httpx.AsyncClient, status: str
) -> None:
    url = await check_out(api, customer)
    api.set_status(status, client_secret=None)
    answer = await customer.get(url)

    assert (answer.status_code, answer.headers["location"]) == (303, url.replace("/pay/", "/orders/"))
    assert (await customer.get(answer.headers["location"])).status_code == 200


async def test_another_way_to_pay_is_another_order(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    """One reference never stands for two bodies, and going back to the first way is a third order."""
    first = await choose_card(customer)
    await customer.post("/checkout", data={"reference": first})
    await customer.post("/cart/way", data={"way": "page"})
    stale = await customer.post("/checkout", data={"reference": first})
    second = reference_on(await customer.get("/cart"))
    page = await customer.post("/checkout", data={"reference": second})

    assert stale.headers["location"] == "/cart?changed"
    assert page.headers["location"].startswith("http://pay.invalid/")
    assert [body["payment_method"] for body in api.received] == ["CARD", "APM"]
    assert cart_in(customer).count == 2


async def test_a_shop_without_card_fields_offers_none(api: FakeCheckoutApi) -> None:
    async with served(api.app()) as api_url, customer_of(api_url, card_fields=None) as customer:
        reference = await choose_card(customer)
        cart = await customer.get("/cart")
        checkout = await customer.post("/checkout", data={"reference": reference})
        page = await customer.get(f"/pay/{order_id_of('demo-shop', reference)}")

    assert "How to pay" not in cart.text
    assert [body["payment_method"] for body in api.received] == ["APM"]
    assert checkout.headers["location"].startswith("http://pay.invalid/")
    assert page.status_code == 404


@pytest.mark.parametrize("order_id", ["ord_x", "..%2F..%2Fhealthz", "ord_" + "A" * 26])
async def test_what_is_no_order_id_has_no_card_page(
    api: FakeCheckoutApi, customer: httpx.AsyncClient, order_id: str
) -> None:
    assert (await customer.get(f"/pay/{order_id}")).status_code == 404
    assert not api.keys
