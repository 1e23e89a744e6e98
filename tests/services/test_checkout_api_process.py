"""checkout_api as a process of its own, on real Kafka: started, used, ended."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from sqlalchemy import create_engine, text

from payonce.codec import decode
from payonce.domain.commands import RegisterPayment
from payonce.domain.events import PspEvent
from payonce.domain.order_row import OrderRow
from payonce.ports import Record
from sandbox.stack.child import Child, wait_until
from sandbox.stack.guard import Guard
from services.checkout_api.clients import key_hash
from tests.fakes.checkout_api import ORDER, SHOP_KEY, row, signed
from tests.stacks import free_port

pytestmark = pytest.mark.stack
NOWHERE = "postgresql+psycopg2://payonce@127.0.0.1:1/payonce"
CLIENTS = f"""
[[client]]
id = "shop"
name = "A shop"
key_hashes = ["{key_hash(SHOP_KEY)}"]
scopes = ["orders:write", "orders:read"]
redirect_origins = ["https://shop.example"]
return_secret = "env:SHOP_RETURN_SECRET"
"""


@pytest.fixture
def guard() -> Iterator[Guard]:
    guard = Guard()
    yield guard
    guard.close()


def settings(folder: Path, port: int, bootstrap: str, database_url: str) -> dict[str, str]:
    (folder / "clients.toml").write_text(CLIENTS)
    return {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "PAYONCE_DATABASE_URL": database_url,
        "PAYONCE_HTTP_PORT": str(port),
        "PAYONCE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PAYONCE_CLIENTS_FILE": str(folder / "clients.toml"),
        "PAYONCE_LINK_SECRETS": "link-secret",
        "PAYONCE_STRIPE_WEBHOOK_SECRETS": "whsec_new,whsec_old",
        "SHOP_RETURN_SECRET": "return-secret",
    }


def start(folder: Path, guard: Guard, env: Mapping[str, str]) -> Child:
    argv = [sys.executable, "-m", "services.checkout_api"]
    return Child(argv, env=env, log=folder / "checkout_api.log", guard=guard)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def records_of(bootstrap: str, topic: str, key: bytes) -> list[Record]:
    """Return the records of that key, read from the beginning to the end of every partition."""
    config = {"bootstrap.servers": bootstrap, "group.id": "unused", "enable.partition.eof": True}
    consumer = Consumer({**config, "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    found: list[Record] = []
    ended = 0
    while ended < len(partitions):
        message = consumer.poll(10)
        assert message is not None, "no answer from the broker"
        if message.error():
            ended += 1
        elif message.key() == key:
            place = (topic, message.partition(), message.offset())
            found.append(Record(*place, message.key(), message.value(), tuple(message.headers() or ())))
    consumer.close()
    return found


def test_orders_and_webhooks_reach_the_log_and_sigterm_ends_in_order(
    tmp_path: Path, guard: Guard, bootstrap: str
) -> None:
    """PostgreSQL is away all the time: taking orders and webhooks does not need it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    child = start(tmp_path, guard, settings(tmp_path, port, bootstrap, NOWHERE))
    try:
        wait_until(lambda: is_ready(url), child, "checkout_api", 30)
        with httpx.Client(base_url=url, timeout=15) as caller:
            posted = caller.post("/v1/payment-orders", json=ORDER, headers={"Authorization": f"Bearer {SHOP_KEY}"})
            assert posted.status_code == 202, posted.text
            order_id = posted.json()["id"]
            body = json.dumps(stripe_event(order_id), indent=2).encode()
            taken = caller.post("/webhooks/stripe", content=body, headers={"Stripe-Signature": signed(body)})
            forged = caller.post("/webhooks/stripe", content=body + b" ", headers={"Stripe-Signature": signed(body)})
            waiting = caller.get(posted.json()["checkout_url"].removeprefix(url))
        child.stop(15, 20)
    finally:
        child.kill()

    assert (taken.status_code, forged.status_code, waiting.status_code) == (200, 400, 503)
    (command,) = records_of(bootstrap, "payments.commands", order_id.encode())
    (webhook,) = records_of(bootstrap, "payments.webhooks", order_id.encode())
    assert isinstance(decode(command), RegisterPayment)
    assert isinstance(decode(webhook), PspEvent)
    assert webhook.value == body
    assert child.exit_code() == 0
    log = child.log.read_text()
    assert '"route": "/checkout/{order_id}"' in log
    assert "INFO:" not in log
    assert "t=" not in log
    assert "whsec" not in log
    assert SHOP_KEY not in log


def test_an_open_stream_does_not_hold_up_the_end(
    tmp_path: Path, guard: Guard, bootstrap: str, database_url: str
) -> None:
    """A stream lasts for minutes; a process that is told to end does not wait for it."""
    order = row("registered", page_expires_at=None)
    insert(database_url, order)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    child = start(tmp_path, guard, settings(tmp_path, port, bootstrap, database_url))
    try:
        wait_until(lambda: is_ready(url) and httpx.get(f"{url}/readyz").json()["orders"] == "readable", child, "it", 30)
        headers = {"Authorization": f"Bearer {SHOP_KEY}"}
        path = f"{url}/v1/payment-orders/{order.order_id}/events"
        with httpx.stream("GET", path, headers=headers, timeout=20) as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("data: "))
            child.stop(15, 20)
            assert list(lines)[-1:] == [""], "the stream has ended in order, not been cut"
    finally:
        child.kill()

    assert child.exit_code() == 0
    assert '"route": "/v1/payment-orders/{order_id}/events"' in child.log.read_text()


def insert(database_url: str, order: OrderRow) -> None:
    """Write the columns that a client's document needs."""
    names = ["order_id", "client_id", "reference", "body_hash", "payment_type", "payment_method", "psp", "amount"]
    names += ["currency", "redirect_url", "attempt", "psp_token", "hosted_page_url", "version"]
    sql = f"""
        INSERT INTO payment_order (payment_order_status, {", ".join(names)})
        VALUES (:status, {", ".join(":" + name for name in names)})
    """  # noqa: S608  (names of columns)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(sql), {"status": order.status, **{name: getattr(order, name) for name in names}})
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PAYONCE_LINK_SECRETS", " , ", "PAYONCE_LINK_SECRETS"),
        ("PAYONCE_CLIENTS_FILE", "/nowhere/clients.toml", "/nowhere/clients.toml"),
        ("SHOP_RETURN_SECRET", "", "SHOP_RETURN_SECRET"),
    ],
)
def test_a_missing_setting_ends_the_process_with_a_sentence(
    tmp_path: Path, guard: Guard, name: str, value: str, says: str
) -> None:
    env = {**settings(tmp_path, free_port(), "127.0.0.1:1", NOWHERE), name: value}

    child = start(tmp_path, guard, env)

    assert child.wait(30)
    assert child.exit_code() == 64
    assert says in child.log.read_text()


def stripe_event(order_id: str) -> dict[str, object]:
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_790_000_000,
        "livemode": False,
        "type": "checkout.session.completed",
        "data": {"object": {"id": "cs_1", "object": "checkout.session", "metadata": {"order_id": order_id}}},
    }
