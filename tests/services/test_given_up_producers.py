"""Every process whose producer is given up by the Kafka library ends by itself, soon, and says why by its code.

A log that was truncated behind a producer (an unclean election, a disk restored) ends it for good, and nothing but
another producer cures it. On the library's own mock cluster; PostgreSQL is away all the time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from payonce.adapters.kafka.producer import KafkaProducer
from payonce.catalog import example_files, topics
from payonce.ports import PublishFailed
from sandbox.stack.child import Child, wait_until
from sandbox.stack.guard import Guard
from services.checkout_api.__main__ import Exit as CheckoutApiExit
from services.checkout_api.clients import key_hash
from services.ops_console.exits import Exit as OpsConsoleExit
from services.psp_worker.exits import Exit as PspWorkerExit
from services.reconciler.exits import Exit as ReconcilerExit
from services.status_processor.exit_codes import ExitCode
from services.status_processor.relay import Relay
from tests.fakes.checkout_api import SHOP_KEY, signed
from tests.fakes.clock import LoopClock
from tests.fakes.mock_kafka import OUT_OF_ORDER_SEQUENCE, MockKafka, mock_kafka
from tests.fakes.ops_console import operators_document
from tests.fakes.outbox import FakeOutbox, OutboxTable
from tests.stacks import free_port

NOWHERE = "postgresql+psycopg2://payonce@127.0.0.1:1/payonce"
PATIENCE_SECONDS = 90
CLIENTS = f"""
[[client]]
id = "shop"
name = "A shop"
key_hashes = ["{key_hash(SHOP_KEY)}"]
scopes = ["orders:write"]
redirect_origins = ["https://shop.example"]
return_secret = "env:SHOP_RETURN_SECRET"
"""
EVENT = {
    "id": "evt_1",
    "object": "event",
    "api_version": "2026-10-28.endive",
    "created": 1_790_000_000,
    "livemode": False,
    "type": "checkout.session.completed",
    "data": {"object": {"id": "cs_1", "object": "checkout.session"}},
}


SERVICES = {
    "psp_worker": PspWorkerExit.KAFKA_LOST,
    "reconciler": ReconcilerExit.KAFKA_LOST,
    "ops_console": OpsConsoleExit.KAFKA_LOST,
    "status_processor": ExitCode.KAFKA_LOST,
}


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with mock_kafka() as cluster:
        for topic in topics().values():
            cluster.create(topic.name, topic.partitions)
        yield cluster


def settings(tmp_path: Path) -> dict[str, str]:
    """Return what the processes are told: where to listen, and that PostgreSQL and the PSP are nowhere."""
    (tmp_path / "clients.toml").write_text(CLIENTS)
    (tmp_path / "operators.toml").write_text(operators_document())
    return {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        "PAYONCE_DATABASE_URL": NOWHERE,
        "PAYONCE_HTTP_PORT": str(free_port()),
        "PAYONCE_OPS_HTTP_PORT": str(free_port()),
        "PAYONCE_CLIENTS_FILE": str(tmp_path / "clients.toml"),
        "PAYONCE_OPERATORS_FILE": str(tmp_path / "operators.toml"),
        "PAYONCE_FAUST_DATA_FOLDER": str(tmp_path / "faust"),
        "PAYONCE_LINK_SECRETS": "link-secret",
        "PAYONCE_STRIPE_WEBHOOK_SECRETS": "whsec_new,whsec_old",
        "PAYONCE_STRIPE_SECRET_KEY": "sk_test_payonce",
        "PAYONCE_STRIPE_API_BASE": "http://127.0.0.1:1",
        "SHOP_RETURN_SECRET": "return-secret",
    }


async def is_ready(port: int) -> bool:
    async with httpx.AsyncClient() as caller:
        try:
            return (await caller.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


@pytest.mark.parametrize("service", SERVICES)
async def test_the_process_ends_with_its_code(service: str, tmp_path: Path) -> None:
    guard = Guard()
    argv = [sys.executable, "-m", "tests.services.given_up_process", service]
    child = Child(argv, env=settings(tmp_path), log=tmp_path / "log", guard=guard)
    try:
        assert await asyncio.to_thread(child.wait, PATIENCE_SECONDS), "it goes on"
    finally:
        child.kill()
        guard.close()

    said = child.log.read_text()
    assert child.exit_code() == SERVICES[service], said
    assert "given up" in said
    assert "OUT_OF_ORDER_SEQUENCE_NUMBER" in said


async def test_the_relay_makes_itself_another_producer(kafka: MockKafka) -> None:
    """It begins again with a new one after any failure, and so needs no new process."""
    table, body = OutboxTable(), example_files()["OrderStatusChanged", 1][0].read_bytes()
    table.add("an order", body)
    made: list[KafkaProducer] = []

    def new_producer() -> KafkaProducer:
        made.append(KafkaProducer(kafka.bootstrap, client_id="test"))
        return made[-1]

    relay = Relay(FakeOutbox(table), new_producer, LoopClock())
    await relay.run_once()
    table.add("an order", body)

    kafka.refuse_next_write(OUT_OF_ORDER_SEQUENCE)
    with pytest.raises(PublishFailed):
        await relay.run_once()

    assert await relay.run_once() == 1
    assert [producer.is_alive for producer in made] == [False, True]
    for producer in made:
        await producer.close()


async def test_checkout_api_answers_503_and_ends(kafka: MockKafka, tmp_path: Path) -> None:
    """As a process of its own: a publisher that waits is answered, and a webhook is not thanked for."""
    guard = Guard()
    environment = {**settings(tmp_path), "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap}
    port = int(environment["PAYONCE_HTTP_PORT"])
    argv = [sys.executable, "-m", "services.checkout_api"]
    child = Child(argv, env=environment, log=tmp_path / "log", guard=guard)
    try:
        await asyncio.to_thread(wait_until, lambda: asyncio.run(is_ready(port)), child, "checkout_api", 30)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=15) as caller:
            statuses = []
            for number in range(2):
                body = json.dumps({**EVENT, "id": f"evt_{number}"}).encode()
                headers = {"Stripe-Signature": signed(body)}
                statuses.append((await caller.post("/webhooks/stripe", content=body, headers=headers)).status_code)
                kafka.refuse_next_write(OUT_OF_ORDER_SEQUENCE)
        assert await asyncio.to_thread(child.wait, PATIENCE_SECONDS), "it goes on"
    finally:
        child.kill()
        guard.close()

    assert statuses == [200, 503]
    assert child.exit_code() == CheckoutApiExit.KAFKA_LOST
    assert "OUT_OF_ORDER_SEQUENCE_NUMBER" in child.log.read_text()
