"""The checkout API on fakes, and the words to talk to it with."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import replace
from functools import partial
from typing import Any

import httpx

from payonce.adapters.stripe import BadSignature, verify_signature
from payonce.domain.order_row import OrderRow
from payonce.domain.terms import Terms, body_hash_of, order_id_of
from services.checkout_api.app import create_app
from services.checkout_api.clients import Clients, key_hash
from services.checkout_api.clients_file import read_clients
from services.checkout_api.dependencies import Dependencies
from services.checkout_api.links import Links
from tests.fakes.order_reads import FakeArchive, FakeOrders
from tests.fakes.producer import FakeProducer
from tests.fakes.virtual_clock import VirtualClock

SHOP_KEY, OTHER_KEY, READER_KEY, SLOW_KEY = "pk_shop", "pk_other", "pk_reader", "pk_slow"
RETURN_SECRET = "return-secret"
WEBHOOK_SECRETS = ("whsec_new", "whsec_old")
PAGE = "https://checkout.stripe.example/c/pay/cs_1#fid"
SECRET = "cs_1_secret_of_the_card_fields"
API_VERSION = "2026-10-28.endive"
LIFETIME = 82_500
ORDER: dict[str, Any] = {
    "reference": "A-1",
    "amount": 1050,
    "currency": "EUR",
    "payment_type": "SALE",
    "payment_method": "APM",
    "redirect_url": "https://shop.example/thanks?basket=7",
}


def clients() -> Clients:
    """Return three client apps: one with a second key that may only read, a neighbour, one with a low rate."""
    reader = f'[[client.keys]]\nhash = "{key_hash(READER_KEY)}"\nscopes = ["orders:read"]'
    entries = [
        _entry("shop", SHOP_KEY, 1000),
        reader,
        _entry("other", OTHER_KEY, 1000),
        _entry("slow", SLOW_KEY, 2),
    ]
    return read_clients("\n".join(entries), {"RETURN_SECRET": RETURN_SECRET})


def _entry(name: str, key: str, rate: int) -> str:
    return f"""
        [[client]]
        id = "{name}"
        name = "{name}"
        key_hashes = ["{key_hash(key)}"]
        scopes = ["orders:write", "orders:read"]
        redirect_origins = ["https://shop.example", "http://127.0.0.1:9000"]
        rate_limit_per_second = {rate}
        return_secret = "env:RETURN_SECRET"
    """


class StaticClients:
    """Clients that never change."""

    def __init__(self) -> None:
        self._clients = clients()

    def current(self) -> Clients:
        """Return them."""
        return self._clients


class World:
    """The application with everything around it in the test's hands."""

    def __init__(self, *, webhook_secrets: tuple[str, ...] = WEBHOOK_SECRETS) -> None:
        self.producer = FakeProducer()
        self.orders = FakeOrders()
        self.archive = FakeArchive(self.orders)
        self.clock = VirtualClock()
        self.links = Links("https://pay.example", (b"link-secret", b"old-link-secret"))
        self.dependencies = Dependencies(
            producer=self.producer,
            broker=self.producer,
            reads=self.orders,
            archive=self.archive,
            watch=self.orders,
            clock=self.clock,
            clients=StaticClients(),
            links=self.links,
            verify_signature=partial(is_signed, webhook_secrets) if webhook_secrets else None,
            stripe_api_version=API_VERSION,
            session_lifetime_seconds=LIFETIME,
            publish_seconds=0.01,
        )
        self.app = create_app(self.dependencies)

    def caller(self, key: str | None = SHOP_KEY) -> httpx.AsyncClient:
        """Return an HTTP client that calls the application in process."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="https://pay.example", headers=headers)

    async def post(self, *, key: str = SHOP_KEY, prefer: str | None = None, **changes: object) -> httpx.Response:
        """Place the order with some fields changed; None takes a field away."""
        body = {name: value for name, value in {**ORDER, **changes}.items() if value is not None}
        async with self.caller(key) as caller:
            return await caller.post("/v1/payment-orders", json=body, headers={"Prefer": prefer} if prefer else {})

    async def get(self, path: str, *, key: str | None = SHOP_KEY) -> httpx.Response:
        """Get a path."""
        async with self.caller(key) as caller:
            return await caller.get(path)

    async def hook(self, body: bytes, header: str | None, path: str = "/webhooks/stripe") -> httpx.Response:
        """Deliver a webhook."""
        headers = {} if header is None else {b"Stripe-Signature": header.encode()}
        async with self.caller(None) as caller:
            return await caller.post(path, content=body, headers=headers)


def is_signed(secrets: tuple[str, ...], body: bytes, header: str) -> bool:
    """Check a signature with the real adapter."""
    try:
        verify_signature(body, header, secrets)
    except BadSignature:
        return False
    return True


def signed(body: bytes, secret: str = WEBHOOK_SECRETS[0], at: int | None = None) -> str:
    """Return the header that Stripe would send, written from its documentation."""
    moment = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def terms(client_id: str = "shop", **changes: object) -> Terms:
    """Return the terms of the order, as the client of that id would have posted it."""
    fields: dict[str, Any] = {**ORDER, "currency": "eur", "psp": "stripe", "client_id": client_id, **changes}
    return Terms(**fields)


def row(status: str, posted: Terms | None = None, **changes: object) -> OrderRow:
    """Return the order's row in a status; `registered` has its page, or of a CARD order its secret."""
    known = posted or terms()
    view = OrderRow(
        order_id=order_id_of(known.client_id, known.reference),
        status=status,
        attempt=1,
        version=7,
        created_at=1_790_000_000,
        updated_at=1_790_000_001,
        client_id=known.client_id,
        reference=known.reference,
        body_hash=body_hash_of(known),
        payment_type=known.payment_type,
        payment_method=known.payment_method,
        psp=known.psp,
        amount=known.amount,
        currency=known.currency,
        redirect_url=known.redirect_url,
        description=known.description,
        customer_email=known.customer_email,
        recurring=known.recurring,
    )
    if status == "registered":
        is_card = known.payment_method == "CARD"
        view = replace(
            view,
            psp_token="cs_1",
            hosted_page_url=None if is_card else PAGE,
            client_secret=SECRET if is_card else None,
            page_expires_at=1_790_080_000,
        )
    fields: dict[str, Any] = dict(changes)
    return replace(view, **fields)


def folded(*messages: Any) -> World:
    """Return a world whose fold has taken these messages."""
    world = World()
    world.archive.fold(*messages)
    return world


def kind(answer: httpx.Response) -> str:
    """Return the kind of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).removeprefix("urn:payonce:problem:")
