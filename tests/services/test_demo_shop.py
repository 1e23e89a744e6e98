"""The demo shop against a checkout API of its own: a small Starlette application behind a real port."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from payonce.domain.terms import order_id_of
from sandbox.demo_shop.api_client import CheckoutApi
from sandbox.demo_shop.app import create_app
from sandbox.demo_shop.cart import COOKIE, Cart, read_cart
from sandbox.demo_shop.catalogue import CURRENCIES, PRODUCTS
from sandbox.demo_shop.settings import SettingMissing, Settings, read_settings
from sandbox.demo_shop.signature import Forged, sign, verify
from services.checkout_api.links import return_signature

API_KEY = "pk_test"
SECRET = b"rs_test"
SHOP_URL = "http://127.0.0.1:8001"


@dataclass
class FakeCheckoutApi:
    """Takes orders by reference as the real one does; `failures` are answered first, in their order."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    received: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Response] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/payment-orders", self.post, methods=["POST"]),
                Route("/v1/payment-orders/{order_id}", self.get),
            ]
        )

    async def post(self, request: Request) -> Response:
        self.keys.add(request.headers["authorization"])
        body = await request.json()
        self.received.append(body)
        if self.failures:
            return self.failures.pop(0)
        order_id = order_id_of("demo-shop", body["reference"])
        shown = {"id": order_id, "status": "created", "checkout_url": f"http://pay.invalid/{order_id}?t=x", **body}
        return JSONResponse(self.orders.setdefault(order_id, shown), 202)

    async def get(self, request: Request) -> Response:
        self.keys.add(request.headers["authorization"])
        if self.failures:
            return self.failures.pop(0)
        order = self.orders.get(request.path_params["order_id"])
        return JSONResponse(order) if order else problem(404, "no such order yet")

    def set_status(self, status: str) -> None:
        for order in self.orders.values():
            order["status"] = status


def problem(status: int, detail: str, errors: tuple[dict[str, str], ...] = ()) -> Response:
    document = {"title": "Problem", "status": status, "detail": detail, "errors": list(errors)}
    return JSONResponse(document, status, media_type="application/problem+json")


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await running


@pytest.fixture
def api() -> FakeCheckoutApi:
    return FakeCheckoutApi()


@asynccontextmanager
async def customer_of(api_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a browser without scripts, in front of a shop that uses this API."""
    settings = Settings(port=8001, url=SHOP_URL, api_url=api_url, api_key=API_KEY, return_secret=SECRET)
    async with CheckoutApi(settings.api_url, settings.api_key) as client:
        transport = httpx.ASGITransport(create_app(settings, client))
        async with httpx.AsyncClient(transport=transport, base_url=SHOP_URL) as customer:
            yield customer


@pytest.fixture
async def customer(api: FakeCheckoutApi) -> AsyncIterator[httpx.AsyncClient]:
    async with served(api.app()) as api_url, customer_of(api_url) as customer:
        yield customer


async def fill_cart(customer: httpx.AsyncClient) -> str:
    """Put two mugs into the cart and return the reference on the cart's page."""
    for _ in range(2):
        assert (await customer.post("/cart/add", data={"sku": "mug"})).status_code == 303
    return reference_on(await customer.get("/cart"))


def reference_on(page: httpx.Response) -> str:
    found = re.search(r'name="reference" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def cart_in(customer: httpx.AsyncClient) -> Cart:
    return read_cart(customer.cookies[COOKIE])


def returned(reference: str, status: str = "paid", secret: bytes = SECRET) -> dict[str, str]:
    """Return the signed parameters, as the payment service makes them."""
    order_id = order_id_of("demo-shop", reference)
    parameters = {"payment_order_id": order_id, "reference": reference, "status": status}
    parameters |= {"amount": "3700", "currency": "eur", "time": "1790000000"}
    return {**parameters, "signature": return_signature(secret, parameters)}


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


@pytest.mark.parametrize("name", ["payment_order_id", "reference", "status", "amount", "currency", "time", "signature"])
@pytest.mark.parametrize("change", ["altered", "missing", "repeated"])
async def test_a_forged_return_is_not_believed(customer: httpx.AsyncClient, name: str, change: str) -> None:
    good = returned("SK-AAAAAAAAAAAAAAAA")
    pairs = [pair for pair in good.items() if change != "missing" or pair[0] != name]
    if change == "altered":
        pairs = [(key, value + ("1" if key == name else "")) for key, value in pairs]
    if change == "repeated":
        pairs.append((name, good[name]))

    assert (await customer.get("/thanks?" + urlencode(list(good.items())))).status_code == 200
    forged = await customer.get("/thanks?" + urlencode(pairs))
    assert forged.status_code == 400
    assert "forged" in forged.text
    assert good["reference"] not in forged.text


async def test_a_return_signed_with_another_secret_is_forged(customer: httpx.AsyncClient) -> None:
    page = await customer.get("/thanks", params=returned("SK-AAAAAAAAAAAAAAAA", secret=b"other"))

    assert page.status_code == 400


@given(st.fixed_dictionaries(dict.fromkeys(returned("r").keys() - {"signature"}, st.text(max_size=20))))
def test_the_shop_and_the_payment_service_sign_alike(parameters: dict[str, str]) -> None:
    """Two implementations, written apart, of one documented signature."""
    assert sign(SECRET, parameters) == return_signature(SECRET, parameters)


def test_a_signature_that_is_not_ascii_is_forged() -> None:
    with pytest.raises(Forged):
        verify(SECRET, list({**returned("r"), "signature": "ä"}.items()))


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


async def test_a_customer_ahead_of_the_webhook_is_not_told_to_pay(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    reference = await fill_cart(customer)
    await customer.post("/checkout", data={"reference": reference})
    api.set_status("registered")
    thanks = await customer.get("/thanks", params=returned(reference, "pending"))
    url = re.search(r'data-source="([^"]+)"', thanks.text)

    assert url is not None
    assert 'data-status="pending"' in thanks.text
    answer = (await customer.get(url[1])).json()
    assert (answer["status"], answer["may_pay"]) == ("pending", False)
    api.set_status("paid")
    assert (await customer.get(url[1])).json()["status"] == "paid"


async def test_a_signed_paid_that_the_payment_service_does_not_confirm_is_not_shown(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    """A redirect is never proof of payment: not even the one that says so itself."""
    reference = await fill_cart(customer)
    await customer.post("/checkout", data={"reference": reference})
    api.set_status("registered")
    thanks = await customer.get("/thanks", params=returned(reference, "paid"))

    assert 'data-status="pending"' in thanks.text
    assert cart_in(customer).count == 2


async def test_a_return_while_the_payment_service_is_away_promises_nothing(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    api.failures.append(problem(503, "away"))
    thanks = await customer.get("/thanks", params=returned("SK-AAAAAAAAAAAAAAAA", "paid"))

    assert thanks.status_code == 200
    assert 'data-status="pending"' in thanks.text


async def test_a_customer_who_turned_back_can_go_on_to_pay(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    reference = await fill_cart(customer)
    first = await customer.post("/checkout", data={"reference": reference})
    api.set_status("registered")
    thanks = await customer.get("/thanks", params=returned(reference, "registered"))
    again = await customer.post("/checkout", data={"reference": reference_on(thanks)})

    assert again.headers["location"] == first.headers["location"]
    assert cart_in(customer).count == 2


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


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/cart/add", {"sku": "yacht"}),
        ("/cart/quantity", {"sku": "mug", "quantity": "-1"}),
        ("/cart/quantity", {"sku": "mug", "quantity": "10"}),
        ("/cart/quantity", {"sku": "mug"}),
        ("/currency", {"currency": "XXX"}),
        ("/cart/add", {f"field{number}": "" for number in range(50)}),
    ],
)
async def test_a_form_that_is_not_the_shops_is_a_400(
    customer: httpx.AsyncClient, path: str, form: dict[str, str]
) -> None:
    assert (await customer.post(path, data=form)).status_code == 400


async def test_a_form_of_a_megabyte_is_not_read(customer: httpx.AsyncClient) -> None:
    assert (await customer.post("/cart/add", content=b"x" * 1_000_000)).status_code == 413


@given(st.text())
def test_any_cookie_is_a_cart(cookie: str) -> None:
    """A customer can write anything into the cookie: it makes a cart that the shop could have made, or an empty one."""
    cart = read_cart(cookie)

    assert cart == read_cart(cart.cookie())
    assert all(0 < quantity <= 9 for quantity in cart.quantities.values())


@given(
    st.sampled_from(sorted(CURRENCIES)),
    st.dictionaries(st.sampled_from(sorted(PRODUCTS)), st.integers(1, 9), min_size=1),
)
def test_a_cart_comes_back_from_its_cookie(code: str, quantities: dict[str, int]) -> None:
    cart = Cart("SK-ABCDEFGHIJKLMNOP", code, quantities)

    assert read_cart(cart.cookie()) == cart
    assert cart.amount == sum(PRODUCTS[sku].prices[code] * number for sku, number in quantities.items())


@pytest.mark.parametrize("name", ["SHOP_PORT", "SHOP_URL", "SHOP_API_URL", "SHOP_API_KEY", "SHOP_RETURN_SECRET"])
def test_a_missing_setting_is_named(name: str) -> None:
    complete = {
        "SHOP_PORT": "8001",
        "SHOP_URL": SHOP_URL + "/",
        "SHOP_API_URL": "http://127.0.0.1:8000",
        "SHOP_API_KEY": "key",
        "SHOP_RETURN_SECRET": "secret",
    }

    assert read_settings(complete).redirect_url == f"{SHOP_URL}/thanks"
    with pytest.raises(SettingMissing, match=name):
        read_settings({**complete, name: " "})
