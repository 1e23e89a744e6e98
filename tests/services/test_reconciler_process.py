"""The real process on real Kafka and PostgreSQL, against the simulator: one works, one stands by, each ends clearly."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from sqlalchemy import create_engine, text

from payonce.adapters.stripe import StripeGateway
from payonce.catalog import topics
from payonce.domain.commands import RegisterPayment
from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.server import SimulatorServer
from sandbox.supervisor import ProcessSpec, Supervisor
from services.psp_worker.request import registration_key, registration_request
from services.reconciler.exits import Exit
from tests.fakes.registrations import register
from tests.stacks import free_port

ARGV = (sys.executable, "-m", "services.reconciler")
PATIENCE_SECONDS = 60
VERSION = "2026-10-28.endive"


def environment(bootstrap: str, database_url: str, stripe_url: str) -> dict[str, str]:
    return {
        "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "PAYONCE_DATABASE_URL": database_url,
        "PAYONCE_STRIPE_API_BASE": stripe_url,
        "PAYONCE_STRIPE_SECRET_KEY": "sk_test_payonce",
        "PAYONCE_STRIPE_RECONCILER_SHARE": "20",
        "PAYONCE_RECONCILE_INTERVAL_SECONDS": "0.5",
        "PAYONCE_RECONCILE_GRACE_SECONDS": "0",
        "PAYONCE_RECONCILE_ASKS_AFTER": '{"created": 2}',
        "PAYONCE_HEALTH_PORT": str(free_port()),
    }


@contextmanager
def simulator() -> Iterator[SimulatorServer]:
    """A PSP whose endpoint takes nothing: every event is undelivered."""
    config = Config(rate_limit_per_endpoint=0, rate_limit_total=0, webhook_url="http://127.0.0.1:9/")
    with SimulatorServer(config) as server:
        yield server


@asynccontextmanager
async def paid(server: SimulatorServer, name: str) -> AsyncIterator[tuple[RegisterPayment, str]]:
    """A paid session at the PSP; its order and its id."""
    command = register(f"{name}-{time.time_ns()}", issued_at=int(time.time()))
    gateway = StripeGateway("sk_test_payonce", server.url)
    registered = await gateway.register(
        registration_request(command), idempotency_key=registration_key(command.order_id, 1), api_version=VERSION
    )
    server.control.pay(registered.session.session_id)
    yield command, registered.session.session_id
    await gateway.close()


def records(bootstrap: str, topic: str, key: str) -> list[dict[str, Any]]:
    """Every body under a key."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.auto.commit": False})
    ends = {n: consumer.get_watermark_offsets(TopicPartition(topic, n))[1] for n in range(topics()[topic].partitions)}
    consumer.assign([TopicPartition(topic, number, 0) for number, end in ends.items() if end])
    found: list[Any] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < sum(ends.values()) and time.monotonic() < deadline:
        found += [message for message in consumer.consume(500, 0.5) if not message.error()]
    consumer.close()
    return [json.loads(message.value()) for message in found if message.key() == key.encode()]


def eventually(check: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def is_active(env: dict[str, str]) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{env['PAYONCE_HEALTH_PORT']}/metrics") as page:
        return b"payonce_reconciler_active 1.0" in page.read()


def spec(name: str, env: dict[str, str]) -> ProcessSpec:
    return ProcessSpec(name, ARGV, env, ready_url=f"http://127.0.0.1:{env['PAYONCE_HEALTH_PORT']}/readyz")


@pytest.mark.stack
async def test_one_works_while_the_other_stands_by_and_takes_over_after_a_kill(
    bootstrap: str, database_url: str, tmp_path: Path
) -> None:
    with simulator() as server, Supervisor(tmp_path) as supervisor:
        one, two = (environment(bootstrap, database_url, server.url) for _ in range(2))
        async with paid(server, "before") as (command, _):
            supervisor.start(spec("one", one))
            await asyncio.to_thread(supervisor.wait_ready, "one")
            supervisor.start(spec("two", two))
            await asyncio.to_thread(supervisor.wait_ready, "two")
            assert (is_active(one), is_active(two)) == (True, False)
            eventually(
                lambda: (
                    {event["type"] for event in records(bootstrap, "payments.webhooks", command.order_id)}
                    >= {"checkout.session.completed", "payment_intent.succeeded"}
                ),
                "the missed events are in the log",
            )

        supervisor.hold("one")
        eventually(lambda: is_active(two), "the other takes over")
        async with paid(server, "after") as (command, _):
            eventually(lambda: records(bootstrap, "payments.webhooks", command.order_id), "it goes on")
        supervisor.resume("one")
        await asyncio.to_thread(supervisor.wait_ready, "one")
        supervisor.kill("two")
        eventually(lambda: is_active(one), "and back after a kill")
        supervisor.stop("one")
        assert '"stopped"' in supervisor.log_path("one").read_text()


@pytest.mark.stack
async def test_an_order_without_its_token_is_asked_after(bootstrap: str, database_url: str, tmp_path: Path) -> None:
    order_id = "ord_" + "q" * 26
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO payment_order (order_id) VALUES (:id)"), {"id": order_id})
    with simulator() as server, Supervisor(tmp_path) as supervisor:
        supervisor.start(spec("one", environment(bootstrap, database_url, server.url)))
        eventually(lambda: records(bootstrap, "payments.commands", order_id), "it is asked after")

    first = records(bootstrap, "payments.commands", order_id)[0]
    assert (first["order_id"], first["reason"]) == (order_id, "reconciler: created")
    engine.dispose()


@pytest.mark.stack
async def test_the_report_command_tells_drift_and_exits_accordingly(bootstrap: str, database_url: str) -> None:
    engine = create_engine(database_url)
    with simulator() as server:
        env = {**os.environ, **environment(bootstrap, database_url, server.url)}

        def report(*arguments: str) -> subprocess.CompletedProcess[str]:
            argv = [sys.executable, "-m", "payonce", "reconcile", *arguments]
            return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)

        with engine.begin() as connection:
            connection.execute(text("TRUNCATE payment_order"))
        clean = await asyncio.to_thread(report, "--since", "1h")
        assert (clean.returncode, clean.stdout) == (Exit.CLEAN, "0 orders compared, 0 differ, 0 stuck\n")

        async with paid(server, "drift") as (command, session_id):
            with engine.begin() as connection:
                insert = "INSERT INTO payment_order (order_id, psp_token) VALUES (:id, :token)"
                connection.execute(text(insert), {"id": command.order_id, "token": session_id})
            drift = await asyncio.to_thread(report, "--since", "1h", "--dry-run")
            assert drift.returncode == Exit.DRIFT, drift.stdout + drift.stderr
            assert f"drift  {command.order_id}  PostgreSQL: created" in drift.stdout
            assert records(bootstrap, "payments.commands", command.order_id) == []

            assert (await asyncio.to_thread(report, "--fix")).returncode == Exit.DRIFT
            [refresh] = records(bootstrap, "payments.commands", command.order_id)
            assert (refresh["psp_ids"], refresh["reason"]) == ([session_id], "reconciler: drift")

        assert (await asyncio.to_thread(report, "--since", "soon")).returncode == 2
        assert (await asyncio.to_thread(report, "--fix", "--dry-run")).returncode == 2
    engine.dispose()


def ended_with(env: dict[str, str]) -> tuple[int, str]:
    ended = subprocess.run(ARGV, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stdout


def test_without_a_secret_key_it_says_so() -> None:
    env = environment("127.0.0.1:1", "postgresql+psycopg2://x@127.0.0.1:1/x", "http://127.0.0.1:1")
    code, said = ended_with({**env, "PAYONCE_STRIPE_SECRET_KEY": ""})

    assert code == Exit.MISCONFIGURED
    assert "PAYONCE_STRIPE_SECRET_KEY" in said


def test_without_brokers_it_ends_with_its_own_code() -> None:
    env = environment("127.0.0.1:1", "postgresql+psycopg2://x@127.0.0.1:1/x", "http://127.0.0.1:1")
    code, said = ended_with(env)

    assert code == Exit.KAFKA_AWAY
    assert "127.0.0.1:1" in said
