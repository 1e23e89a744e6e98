"""The demo shop against a checkout API of its own: a small Starlette application behind a real port."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from payonce.domain.terms import order_id_of
from sandbox.demo_shop.api_client import CheckoutApi
from sandbox.demo_shop.app import create_app
from sandbox.demo_shop.card_fields import CardFields
from sandbox.demo_shop.cart import COOKIE, Cart, read_cart
from sandbox.demo_shop.settings import Settings
from services.checkout_api.links import return_signature

API_KEY = "pk_test"
SECRET = b"rs_test"
SHOP_URL = "http://127.0.0.1:8001"
CARD_FIELDS = CardFields("http://psp.invalid:8431/js/stripe.js", "pk_test_shop")


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

    def set_status(self, status: str, **fields: object) -> None:
        for order in self.orders.values():
            order.update(status=status, **fields)


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
async def customer_of(
    api_url: str, *, card_fields: CardFields | None = CARD_FIELDS
) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a browser without scripts, in front of a shop that uses this API."""
    settings = Settings(8001, SHOP_URL, api_url, api_key=API_KEY, return_secret=SECRET, card_fields=card_fields)
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
