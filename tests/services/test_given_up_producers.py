"""Every process whose producer is given up by the Kafka library ends by itself, soon, and says why by its code.

A log that was truncated behind a producer (an unclean election, a disk restored) ends it for good, and nothing but
another producer cures it. On the library's own mock cluster; PostgreSQL is away all the time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import Awaitable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import httpx
import pytest
from pydantic import SecretStr

from payonce.adapters.kafka.consumer import GroupConsumer
from payonce.adapters.kafka.producer import KafkaProducer, ProducerEnded
from payonce.catalog import example_files, topics
from payonce.ports import OutgoingRecord, PublishFailed
from payonce.settings import OpsConsoleSettings, PspWorkerSettings, ReconcilerSettings, StatusProcessorSettings
from sandbox.stack.child import Child, wait_until
from sandbox.stack.guard import Guard
from services.checkout_api.__main__ import Exit as CheckoutApiExit
from services.checkout_api.clients import key_hash
from services.ops_console import __main__ as ops_console
from services.psp_worker import __main__ as psp_worker
from services.psp_worker.exits import Exit as PspWorkerExit
from services.reconciler import __main__ as reconciler
from services.reconciler.exits import Exit as ReconcilerExit
from services.status_processor import __main__ as status_processor
from services.status_processor.exit_codes import ExitCode, exit_code_of
from services.status_processor.relay import Relay
from tests.fakes.checkout_api import SHOP_KEY, signed
from tests.fakes.clock import LoopClock
from tests.fakes.mock_kafka import OUT_OF_ORDER_SEQUENCE, MockKafka, mock_kafka
from tests.fakes.ops_console import operators_document
from tests.fakes.outbox import FakeOutbox, OutboxTable
from tests.stacks import free_port

#: A process that cannot go on ends as it stands: what it leaves open, its end closes.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
T = TypeVar("T")
NOWHERE = "postgresql+psycopg2://payonce@127.0.0.1:1/payonce"
RECORD = OutgoingRecord("payments.status", b"key", b"value")
PATIENCE_SECONDS = 30
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


@pytest.fixture(autouse=True)
def _ended_as_it_stands() -> Iterator[None]:
    """Let go here of what was left open, not in the midst of some other test."""
    yield
    gc.collect()


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with mock_kafka() as cluster:
        for topic in topics().values():
            cluster.create(topic.name, topic.partitions)
        yield cluster


class Parts:
    """The producers and group members that a process has made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
        self.producers: list[KafkaProducer] = []
        self.members: list[GroupConsumer] = []
        for kind, made in ((KafkaProducer, self.producers), (GroupConsumer, self.members)):
            if hasattr(module, kind.__name__):
                monkeypatch.setattr(module, kind.__name__, _noting(kind, made))

    async def give_up(self, kafka: MockKafka) -> None:
        """Have the log forget what it has just acknowledged to the process's producer."""
        (producer,) = self.producers
        await producer.publish(RECORD)
        kafka.refuse_next_write(OUT_OF_ORDER_SEQUENCE)
        with pytest.raises(PublishFailed):
            await producer.publish(RECORD)


def _noting(kind: Any, made: list[Any]) -> Any:
    def make(*args: object, **options: object) -> Any:
        made.append(kind(*args, **options))
        return made[-1]

    return make


async def is_ready(port: int) -> bool:
    async with httpx.AsyncClient() as caller:
        try:
            return (await caller.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


async def soon(awaitable: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await awaitable


async def until(condition: object) -> None:
    """Wait until a list has something in it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition:
            await asyncio.sleep(0.01)


async def test_psp_worker_ends(kafka: MockKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch, psp_worker)
    port = free_port()
    settings = PspWorkerSettings(
        kafka_bootstrap_servers=kafka.bootstrap,
        database_url=NOWHERE,
        stripe_secret_key=SecretStr("sk_test_payonce"),
        stripe_api_base="http://127.0.0.1:1",
        health_port=port,
    )
    process = asyncio.ensure_future(psp_worker._serve(settings, 12))
    await until(parts.members)

    await parts.give_up(kafka)

    assert await soon(process) is PspWorkerExit.KAFKA_LOST
    assert not await is_ready(port)
    await parts.members[0].stop()


async def test_the_reconciler_ends(kafka: MockKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch, reconciler)
    settings = ReconcilerSettings(
        kafka_bootstrap_servers=kafka.bootstrap,
        database_url=NOWHERE,
        stripe_secret_key=SecretStr("sk_test_payonce"),
        stripe_api_base="http://127.0.0.1:1",
    )
    process = asyncio.ensure_future(reconciler._serve(settings))
    await until(parts.producers)

    await parts.give_up(kafka)

    assert await soon(process) is ReconcilerExit.KAFKA_LOST


async def test_ops_console_ends(kafka: MockKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parts = Parts(monkeypatch, ops_console)
    (tmp_path / "operators.toml").write_text(operators_document())
    settings = OpsConsoleSettings(
        kafka_bootstrap_servers=kafka.bootstrap,
        database_url=NOWHERE,
        operators_file=tmp_path / "operators.toml",
        ops_http_port=free_port(),
    )
    process = asyncio.ensure_future(ops_console.serve(settings))
    await until(parts.members)

    await parts.give_up(kafka)

    with pytest.raises(ProducerEnded):
        await soon(process)


async def test_the_status_processor_ends(kafka: MockKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parts = Parts(monkeypatch, status_processor)
    settings = StatusProcessorSettings(
        kafka_bootstrap_servers=kafka.bootstrap, database_url=NOWHERE, faust_data_folder=tmp_path
    )
    process = status_processor.Process(settings)
    running = asyncio.ensure_future(process.run(asyncio.Event()))

    await parts.give_up(kafka)

    assert exit_code_of(await soon(running)) is ExitCode.KAFKA_LOST
    assert not process._is_ready()
    await process.stop()


async def test_the_relay_makes_itself_another_producer(kafka: MockKafka) -> None:
    """It begins again with a new one after any failure, and so needs no new process."""
    table, body = OutboxTable(), example_files()["OrderStatusChanged", 1][0].read_bytes()
    table.add("an order", body)
    made: list[KafkaProducer] = []
    new_producer = _noting(lambda: KafkaProducer(kafka.bootstrap, client_id="test"), made)
    relay = Relay(FakeOutbox(table), new_producer, LoopClock())
    await soon(relay.run_once())
    table.add("an order", body)

    kafka.refuse_next_write(OUT_OF_ORDER_SEQUENCE)
    with pytest.raises(PublishFailed):
        await soon(relay.run_once())

    assert await soon(relay.run_once()) == 1
    assert [producer.is_alive for producer in made] == [False, True]
    await made[-1].close()


async def test_checkout_api_answers_503_and_ends(kafka: MockKafka, tmp_path: Path) -> None:
    """As a process of its own: a publisher that waits is answered, and a webhook is not thanked for."""
    guard, port = Guard(), free_port()
    (tmp_path / "clients.toml").write_text(CLIENTS)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "PAYONCE_DATABASE_URL": NOWHERE,
        "PAYONCE_HTTP_PORT": str(port),
        "PAYONCE_CLIENTS_FILE": str(tmp_path / "clients.toml"),
        "PAYONCE_LINK_SECRETS": "link-secret",
        "PAYONCE_STRIPE_WEBHOOK_SECRETS": "whsec_new,whsec_old",
        "SHOP_RETURN_SECRET": "return-secret",
    }
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
