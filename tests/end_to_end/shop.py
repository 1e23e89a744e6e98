"""A client app, its customers and the simulator's control door, as the end-to-end tests need them."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from confluent_kafka import Consumer, Message, TopicPartition
from sqlalchemy import create_engine, text

from payonce.catalog import topic_of, topics
from sandbox.world import World

T = TypeVar("T")
#: Longer than any restart, rebalance or webhook retry that a test provokes; reached only by a failure.
DEADLINE_SECONDS = 60.0


def eventually(check: Callable[[], T | None], what: str, deadline_seconds: float = DEADLINE_SECONDS) -> T:
    """Return the first truthy answer of `check`; fail when the deadline passes."""
    deadline = time.monotonic() + deadline_seconds
    while True:
        if answer := check():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {deadline_seconds:g} s, last answer {answer!r}")
        time.sleep(0.05)


class Shop:
    """Talks to one world over its public doors, and to the simulator's control door."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.addresses = world.addresses
        self._http = httpx.Client(timeout=30, follow_redirects=False)
        self._engine = create_engine(self.addresses.database_url, pool_size=1, pool_pre_ping=True)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self._engine.dispose()

    # ------------------------------------------------------------------------------ the public API

    def body(self, **changes: Any) -> dict[str, Any]:
        """A valid order with a reference of its own."""
        return {
            "reference": f"e2e-{next(self._numbers)}-{secrets.token_hex(4)}",
            "amount": 4_990,
            "currency": "eur",
            "payment_type": "SALE",
            "payment_method": "APM",
            "redirect_url": f"{self.addresses.shop_url}/thanks",
            **changes,
        }

    def post(self, body: Mapping[str, Any], *, wait: int = 0) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.addresses.api_key}"}
        if wait:
            headers["Prefer"] = f"wait={wait}"
        return self._http.post(f"{self.addresses.api_url}/v1/payment-orders", json=body, headers=headers)

    def registered(self, **changes: Any) -> dict[str, Any]:
        """An order whose token is stored: the API's 201."""
        answer = self.post(self.body(**changes), wait=20)
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def command(
        self, order_id: str, verb: str, body: Mapping[str, Any] | None = None, *, wait: int = 0
    ) -> httpx.Response:
        """Send a command about an order: attempts, cancel or refunds."""
        headers = {"Authorization": f"Bearer {self.addresses.api_key}"}
        if wait:
            headers["Prefer"] = f"wait={wait}"
        return self._http.post(
            f"{self.addresses.api_url}/v1/payment-orders/{order_id}/{verb}", json=body, headers=headers
        )

    def read(self, path: str) -> dict[str, Any]:
        """What the API tells under its prefix for payment orders."""
        headers = {"Authorization": f"Bearer {self.addresses.api_key}"}
        answer = self._http.get(f"{self.addresses.api_url}/v1/payment-orders{path}", headers=headers)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def order(self, order_id: str) -> dict[str, Any]:
        """The order as the API tells it; empty while it is not known. Waits while the API or its database is away."""
        headers = {"Authorization": f"Bearer {self.addresses.api_key}"}

        def ask() -> httpx.Response | None:
            try:
                answer = self._http.get(f"{self.addresses.api_url}/v1/payment-orders/{order_id}", headers=headers)
            except httpx.TransportError:
                return None  # the API is being restarted
            return None if answer.status_code == 503 else answer

        answer = eventually(ask, f"an answer about {order_id}")
        assert answer.status_code in {200, 404}, answer.text
        document: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return document

    def get(self, url: str) -> httpx.Response:
        return self._http.get(url)

    def wait_for_status(self, order_id: str, status: str) -> dict[str, Any]:
        def check() -> dict[str, Any] | None:
            order = self.order(order_id)
            return order if order.get("status") == status else None

        return eventually(check, f"{order_id} is {status}")

    # ------------------------------------------------------------------------------- the simulator

    def control(self, method: str, path: str, document: Any = None) -> Any:
        answer = self._http.request(method, f"{self.addresses.simulator_url}/_control{path}", json=document)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def calm(self) -> None:
        """No faults, plain webhooks."""
        self.control("DELETE", "/faults")
        plain = {"duplicate_probability": 0, "twin_probability": 0, "drop_probability": 0, "hold": 0, "paused": False}
        self.control("POST", "/webhooks", {**plain, "secrets": [self.addresses.webhook_secret]})
        self.control("POST", "/webhooks/release")

    def pay(self, order: Mapping[str, Any], **how: Any) -> None:
        self.control("POST", f"/sessions/{session_id(order)}/pay", {"method": "card", **how})

    def open_sessions_of(self, order_id: str) -> int:
        """How many sessions of the order can still be paid at the PSP."""
        return int(self.control("GET", "/stats")["open_sessions_per_order"].get(order_id, 0))

    def sessions_of(self, order_id: str) -> int:
        """How many sessions the PSP holds for the order."""
        return int(self.control("GET", "/stats")["sessions_per_order"].get(order_id, 0))

    def signature_of(self, body: bytes, *, secret: str | None = None, at: float | None = None) -> dict[str, str]:
        """The header with which Stripe signs a webhook."""
        stamp = int(at if at is not None else time.time())
        key = (secret or self.addresses.webhook_secret).encode()
        digest = hmac.new(key, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Stripe-Signature": f"t={stamp},v1={digest}"}

    def send_webhook(self, body: bytes, *, secret: str | None = None, at: float | None = None) -> httpx.Response:
        """Post a webhook as Stripe signs it."""
        return self.send_raw_webhook(body, self.signature_of(body, secret=secret, at=at))

    def send_raw_webhook(self, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        return self._http.post(f"{self.addresses.api_url}/webhooks/stripe", content=body, headers=dict(headers))

    # ----------------------------------------------------------------------------- behind the doors

    def row(self, order_id: str) -> dict[str, Any]:
        with self._engine.connect() as connection:
            found = connection.execute(text("SELECT * FROM payment_order WHERE order_id = :id"), {"id": order_id})
            row = found.mappings().first()
            return dict(row) if row else {}

    def rows(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement), parameters).mappings()]

    def execute(self, statement: str, **parameters: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement), parameters)

    def log_size(self, names: Collection[str]) -> int:
        """Records that were ever in these topics together."""
        return sum(high for (name, _), (_, high) in self._watermarks(names).items())

    def records(self, topic: str, key: str | None = None) -> list[Message]:
        """Every record of a topic, or those under one key."""
        marks = self._watermarks([topic])
        consumer = self._consumer()
        consumer.assign(
            [TopicPartition(topic, number, low) for (_, number), (low, high) in marks.items() if high > low]
        )
        found: list[Message] = []
        wanted = sum(high - low for low, high in marks.values())
        heard_at = time.monotonic()
        while len(found) < wanted:
            heard = [message for message in consumer.consume(500, timeout=0.5) if not message.error()]
            found, heard_at = found + heard, time.monotonic() if heard else heard_at
            assert time.monotonic() < heard_at + DEADLINE_SECONDS, f"{topic}: {len(found)} of {wanted} records"
        consumer.close()
        return [message for message in found if key is None or message.key() == key.encode()]

    def webhook_objects(self) -> list[dict[str, Any]]:
        """The object of every webhook in the log; other tests put garbage there, which is none."""
        objects = []
        for message in self.records(topic_of("PspEvent")):
            with suppress(ValueError, KeyError, TypeError):
                objects.append(json.loads(message.value() or b"")["data"]["object"])
        return objects

    def _watermarks(self, names: Collection[str]) -> dict[tuple[str, int], tuple[int, int]]:
        consumer = self._consumer()
        marks = {
            (name, partition): consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=20)
            for name in names
            for partition in range(topics()[name].partitions)
        }
        consumer.close()
        return marks

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.addresses.kafka_bootstrap_servers,
                "group.id": "end-to-end-tests",
                "enable.auto.commit": False,
            }
        )


def session_id(order: Mapping[str, Any]) -> str:
    """The PSP's id of a registered order, from its hosted page."""
    return str(order["hosted_page_url"]).rstrip("/").rpartition("/")[2]


def type_of(message: Message) -> str:
    """The CloudEvents type of a record."""
    kind: bytes = dict(message.headers() or [])["ce_type"]
    return kind.decode()


def body_of(message: Message) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(message.value() or b"")
    return document
