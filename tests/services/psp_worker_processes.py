"""PSP workers as processes on real Kafka and PostgreSQL, the simulator they call, and what they said."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.request import urlopen

from confluent_kafka import Consumer, TopicPartition

from payonce.adapters.kafka.producer import KafkaProducer
from payonce.codec import decode, outgoing
from payonce.domain.commands import Command, RegisterPayment
from payonce.domain.events import TokenIssued
from payonce.ports import Record
from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.server import SimulatorServer
from sandbox.supervisor import ProcessSpec
from tests.fakes.registrations import register
from tests.stacks import free_port

ARGV = (sys.executable, "-m", "services.psp_worker")
PATIENCE_SECONDS = 90


@contextmanager
def simulator(limit: int = 100) -> Iterator[SimulatorServer]:
    """A PSP that takes so many calls a second, per endpoint and in total."""
    with SimulatorServer(Config(rate_limit_per_endpoint=limit, rate_limit_total=limit, latency_ms=20)) as server:
        yield server


def environment(bootstrap: str, database_url: str, stripe_url: str, limit: int = 100) -> dict[str, str]:
    """Return a worker's settings, with a free port of its own."""
    return {
        "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "PAYONCE_DATABASE_URL": database_url,
        "PAYONCE_STRIPE_API_BASE": stripe_url,
        "PAYONCE_STRIPE_SECRET_KEY": "sk_test_payonce",
        "PAYONCE_STRIPE_RATE_LIMIT_PER_ENDPOINT": str(limit),
        "PAYONCE_KAFKA_SESSION_TIMEOUT_MS": "6000",
        "PAYONCE_HEALTH_PORT": str(free_port()),
    }


def spec(name: str, env: dict[str, str]) -> ProcessSpec:
    """Return what a supervisor needs to keep the worker alive."""
    return ProcessSpec(name, ARGV, env, ready_url=f"http://127.0.0.1:{env['PAYONCE_HEALTH_PORT']}/readyz")


def commands(count: int) -> list[RegisterPayment]:
    """Return registrations of orders that nobody has seen before."""
    run = uuid.uuid4().hex[:12]
    return [register(f"{run}-{number}", issued_at=int(time.time())) for number in range(count)]


async def post(bootstrap: str, wanted: Sequence[Command]) -> None:
    """Publish the commands as the checkout API does."""
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
        """Take what has come; wait 0.2 s at most."""
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
        """Read until every order has an outcome."""
        self.until(lambda: len(self.by_order) == len(self._orders))

    def until(self, condition: Callable[[], bool]) -> None:
        """Read until the condition holds; fail after PATIENCE_SECONDS."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{len(self.by_order)} of {len(self._orders)} orders have an outcome"
            self.read()

    def close(self) -> None:
        self._consumer.close()


def assert_one_session_each(tokens: Tokens, server: SimulatorServer, wanted: list[RegisterPayment]) -> None:
    """Every order has one session at the PSP, and that one was told."""
    sessions = server.control.stats()["sessions_per_order"]
    for command in wanted:
        outcomes = tokens.by_order[command.order_id]
        assert {type(outcome) for outcome in outcomes} == {TokenIssued}
        assert len({outcome.session_id for outcome in outcomes if isinstance(outcome, TokenIssued)}) == 1
        assert sessions[command.order_id] == 1


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds; fail after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def is_ready(env: dict[str, str]) -> bool:
    """Return whether the worker says that it consumes."""
    try:
        with urlopen(f"http://127.0.0.1:{env['PAYONCE_HEALTH_PORT']}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def log_ends(bootstrap: str, topic: str) -> dict[int, int]:
    """Return where each partition of the topic ends."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex})
    partitions = consumer.list_topics(topic).topics[topic].partitions
    ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number))[1] for number in partitions}
    consumer.close()
    return ends
