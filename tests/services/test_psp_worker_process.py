"""The real process on real Kafka and PostgreSQL, against the simulator: throughput of a backlog, kills, clean ends."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from confluent_kafka import Consumer, TopicPartition

from payonce.adapters.kafka.producer import KafkaProducer
from payonce.codec import decode, outgoing
from payonce.domain.commands import CancelPayment, Command, RefreshPayment, RefundPayment, RegisterPayment
from payonce.domain.events import (
    AttemptCancelled,
    CommandRejected,
    PspSnapshot,
    RefundAccepted,
    RefundRejected,
    TokenIssued,
)
from payonce.ports import Record
from sandbox.stack import Stack
from sandbox.stack.child import Child
from sandbox.stack.guard import Guard
from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.server import SimulatorServer
from sandbox.supervisor import ProcessSpec, Supervisor
from services.psp_worker.exits import Exit
from tests.fakes.registrations import register

pytestmark = pytest.mark.stack
ARGV = (sys.executable, "-m", "services.psp_worker")
PATIENCE_SECONDS = 90


@contextmanager
def simulator(limit: int = 100) -> Iterator[SimulatorServer]:
    with SimulatorServer(Config(rate_limit_per_endpoint=limit, rate_limit_total=limit, latency_ms=20)) as server:
        yield server


def environment(bootstrap: str, database_url: str, stripe_url: str, limit: int = 100) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "PAYONCE_DATABASE_URL": database_url,
        "PAYONCE_STRIPE_API_BASE": stripe_url,
        "PAYONCE_STRIPE_SECRET_KEY": "sk_test_payonce",
        "PAYONCE_STRIPE_RATE_LIMIT_PER_ENDPOINT": str(limit),
        "PAYONCE_KAFKA_SESSION_TIMEOUT_MS": "6000",
        "PAYONCE_HEALTH_PORT": str(port),
    }


def spec(name: str, env: dict[str, str]) -> ProcessSpec:
    return ProcessSpec(name, ARGV, env, ready_url=f"http://127.0.0.1:{env['PAYONCE_HEALTH_PORT']}/readyz")


def commands(count: int) -> list[RegisterPayment]:
    run = uuid.uuid4().hex[:12]
    return [register(f"{run}-{number}", issued_at=int(time.time())) for number in range(count)]


async def post(bootstrap: str, wanted: Sequence[Command]) -> None:
    producer = KafkaProducer(bootstrap, client_id="test")
    records = [outgoing(command, at=float(command.issued_at), source="checkout_api") for command in wanted]
    await asyncio.gather(*(producer.publish(record) for record in records))
    await producer.close()


class Tokens:
    """Everything on payments.tokens of the orders that are looked at."""

    def __init__(self, bootstrap: str, wanted: Sequence[Command]) -> None:
        self.by_order: defaultdict[str, list[object]] = defaultdict(list)
        self._orders = {command.order_id for command in wanted}
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
        )
        partitions = self._consumer.list_topics("payments.tokens").topics["payments.tokens"].partitions
        self._consumer.assign([TopicPartition("payments.tokens", number, 0) for number in partitions])

    def read(self) -> None:
        for message in self._consumer.consume(500, 0.2):
            record = Record(
                message.topic(),
                message.partition(),
                message.offset(),
                message.key(),
                message.value(),
                tuple(message.headers()),
            )
            if record.key is not None and record.key.decode() in self._orders:
                self.by_order[record.key.decode()].append(decode(record))

    def until_all(self) -> None:
        self.until(lambda: len(self.by_order) == len(self._orders))

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{len(self.by_order)} of {len(self._orders)} orders have an outcome"
            self.read()

    def close(self) -> None:
        self._consumer.close()


def assert_one_session_each(tokens: Tokens, server: SimulatorServer, wanted: list[RegisterPayment]) -> None:
    sessions = server.control.stats()["sessions_per_order"]
    for command in wanted:
        outcomes = tokens.by_order[command.order_id]
        assert {type(outcome) for outcome in outcomes} == {TokenIssued}
        assert len({outcome.session_id for outcome in outcomes if isinstance(outcome, TokenIssued)}) == 1
        assert sessions[command.order_id] == 1


async def test_two_workers_register_a_backlog_and_stop_when_asked(
    bootstrap: str, database_url: str, tmp_path: Path
) -> None:
    wanted = commands(150)
    await post(bootstrap, wanted)
    tokens = Tokens(bootstrap, wanted)
    with simulator() as server, Supervisor(tmp_path) as supervisor:
        for name in ("one", "two"):
            supervisor.start(spec(name, environment(bootstrap, database_url, server.url)))
        for name in ("one", "two"):
            await asyncio.to_thread(supervisor.wait_ready, name)
        tokens.until_all()
        supervisor.stop("one")
        more = commands(20)
        await post(bootstrap, more)
        later = Tokens(bootstrap, more)
        later.until_all()
        supervisor.stop("two")

        assert_one_session_each(tokens, server, wanted)
        assert_one_session_each(later, server, more)
        assert all(len(outcomes) == 1 for outcomes in tokens.by_order.values()), "a clean stop repeats nothing"
        assert "stopped" in supervisor.log_path("one").read_text()
        assert supervisor.restarts("one") == supervisor.restarts("two") == 0
    tokens.close()
    later.close()


async def test_kills_and_a_lying_psp_make_no_second_session(bootstrap: str, database_url: str, tmp_path: Path) -> None:
    wanted = commands(120)
    tokens = Tokens(bootstrap, wanted)
    limit = 50
    with simulator(limit) as server, Supervisor(tmp_path) as supervisor:
        for kind in ("reset_after_commit", "truncated_body", "html_502", "rate_limit_429", "status_500_unsaved"):
            server.control.add_fault(kind, operation="checkout.sessions.create", probability=0.08)
        for name in ("one", "two"):
            supervisor.start(spec(name, environment(bootstrap, database_url, server.url, limit)))
        await post(bootstrap, wanted)
        for round_number in range(4):
            reached = (round_number + 1) * 15
            tokens.until(lambda reached=reached: len(tokens.by_order) >= reached)  # type: ignore[misc]
            supervisor.kill("one" if round_number % 2 else "two")
        tokens.until_all()

        assert_one_session_each(tokens, server, wanted)
        stats = server.control.stats()
        assert stats["most_calls_per_second"]["checkout.sessions.create"] <= limit
    tokens.close()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def is_ready(env: dict[str, str]) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{env['PAYONCE_HEALTH_PORT']}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def log_ends(bootstrap: str, topic: str) -> dict[int, int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex})
    partitions = consumer.list_topics(topic).topics[topic].partitions
    ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number))[1] for number in partitions}
    consumer.close()
    return ends


async def test_stripe_away_pauses_consumption_dead_letters_nothing_and_drains_within_the_budget(
    bootstrap: str, database_url: str, tmp_path: Path
) -> None:
    wanted, limit = commands(150), 50
    tokens = Tokens(bootstrap, wanted)
    letters = log_ends(bootstrap, "payments.commands.dlt")
    env = environment(bootstrap, database_url, "", limit)
    with simulator(limit) as server, Supervisor(tmp_path) as supervisor:
        env["PAYONCE_STRIPE_API_BASE"] = server.url
        supervisor.start(spec("one", env))
        await asyncio.to_thread(supervisor.wait_ready, "one")
        server.control.add_fault("html_502")
        await post(bootstrap, wanted)
        await asyncio.to_thread(until, lambda: not is_ready(env), "consumption is paused")
        seen = server.control.stats()["calls"].get("checkout.sessions.list", 0)
        await asyncio.to_thread(
            until, lambda: server.control.stats()["calls"].get("checkout.sessions.list", 0) >= seen + 3, "canaries"
        )
        assert not is_ready(env)
        tokens.read()
        assert not tokens.by_order
        server.control.clear_faults()
        tokens.until_all()
        await asyncio.to_thread(until, lambda: is_ready(env), "consumption goes on")

        assert_one_session_each(tokens, server, wanted)
        most = server.control.stats()["most_calls_per_second"]
        assert max(most.values()) <= limit
    assert log_ends(bootstrap, "payments.commands.dlt") == letters
    tokens.close()


async def test_the_other_commands_of_an_order_on_the_simulator(
    bootstrap: str, database_url: str, tmp_path: Path
) -> None:
    """Paid, refunded in parts and read back; expired and tried again; cancelled: each as the simulator shows it."""
    paid, again, dropped = commands(3)
    tokens = Tokens(bootstrap, [paid, again, dropped])

    def said(command: RegisterPayment) -> list[str]:
        return [type(outcome).__name__ for outcome in tokens.by_order[command.order_id]]

    with simulator() as server, Supervisor(tmp_path) as supervisor:
        supervisor.start(spec("one", environment(bootstrap, database_url, server.url)))
        await post(bootstrap, [paid, again, dropped])
        tokens.until_all()
        (token,) = tokens.by_order[paid.order_id]
        assert isinstance(token, TokenIssued)
        await asyncio.to_thread(server.control.pay, token.session_id, method="card")
        second = replace(again, attempt=2)
        late = replace(paid, attempt=2)
        now = int(time.time())
        back = [
            RefundPayment(paid.order_id, name, None, amount, None, now, paid.api_version)
            for name, amount in (("part", 500), ("rest", None), ("more", 1))
        ]
        refresh = RefreshPayment(paid.order_id, "rfr_1", (), "a test", now, paid.api_version)
        await post(bootstrap, [late, *back, refresh, CancelPayment(paid.order_id, 1, now)])
        await post(bootstrap, [second, CancelPayment(dropped.order_id, 1, now)])
        tokens.until(lambda: [len(said(each)) for each in (paid, again, dropped)] == [9, 2, 2])

        outcomes = tokens.by_order[paid.order_id]
        assert [type(outcome) for outcome in outcomes[1:]] == [
            CommandRejected, RefundAccepted, RefundAccepted, RefundRejected,
            TokenIssued, CommandRejected, PspSnapshot,  # a refresh repeats what is recorded
            CommandRejected,
        ]  # fmt: skip
        accepted = [outcome.amount for outcome in outcomes if isinstance(outcome, RefundAccepted)]
        assert accepted == [500, 1499]
        snapshot = outcomes[7]
        assert isinstance(snapshot, PspSnapshot)
        kinds = sorted(each["object"] for each in snapshot.objects)
        assert kinds == ["charge", "checkout.session", "payment_intent", "refund", "refund"]
        assert len(server.control.refunds(order_id=paid.order_id)) == 2
        assert said(again) == ["TokenIssued", "TokenIssued"]
        statuses = [each["status"] for each in server.control.sessions(order_id=again.order_id)]
        assert statuses == ["expired", "open"]
        assert isinstance(tokens.by_order[dropped.order_id][1], AttemptCancelled)
        assert [each["status"] for each in server.control.sessions(order_id=dropped.order_id)] == ["expired"]
    tokens.close()


@contextmanager
def process(env: dict[str, str], log: Path) -> Iterator[Child]:
    guard = Guard()
    child = Child(ARGV, env={**os.environ, **env}, log=log, guard=guard)
    try:
        yield child
    finally:
        child.kill()
        guard.close()


def ended_with(env: dict[str, str], log: Path) -> int:
    with process(env, log) as child:
        deadline = time.monotonic() + 40
        while (code := child.exit_code()) is None:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
    return code


def test_without_its_topics_it_says_which_are_missing(tmp_path: Path) -> None:
    with Stack(brokers=1) as empty:
        env = environment(empty.kafka.bootstrap, empty.database_url, "http://127.0.0.1:1")
        code = ended_with(env, tmp_path / "log")

    assert code == Exit.MISCONFIGURED
    assert "payments.tokens" in (tmp_path / "log").read_text()


def test_without_a_secret_key_it_says_so(tmp_path: Path) -> None:
    env = environment("127.0.0.1:1", "postgresql+psycopg2://x@127.0.0.1:1/x", "http://127.0.0.1:1")

    assert ended_with({**env, "PAYONCE_STRIPE_SECRET_KEY": ""}, tmp_path / "log") == Exit.MISCONFIGURED
    assert "PAYONCE_STRIPE_SECRET_KEY" in (tmp_path / "log").read_text()


def test_without_brokers_it_ends_with_its_own_code(tmp_path: Path) -> None:
    env = environment("127.0.0.1:1", "postgresql+psycopg2://x@127.0.0.1:1/x", "http://127.0.0.1:1")

    assert ended_with(env, tmp_path / "log") == Exit.KAFKA_LOST
    assert "127.0.0.1:1" in (tmp_path / "log").read_text()
