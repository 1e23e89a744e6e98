"""The embedded stack is real Kafka and real PostgreSQL, keeps data over outages, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from sandbox.stack import PortTaken, Stack, StackError
from sandbox.stack.ports import LOOPBACK, answers

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


@pytest.fixture
def topic(stack: Stack) -> str:
    return make_topic(stack, replicas=1)


def make_topic(stack: Stack, replicas: int) -> str:
    name = f"records-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap})
    for created in admin.create_topics([NewTopic(name, 1, replicas)]).values():
        created.result(30)
    return name


def produce(stack: Stack, topic: str, value: bytes) -> None:
    """Blocks until the record is acknowledged by all in-sync replicas."""
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap, "acks": "all", "enable.idempotence": True})
    errors: list[Any] = []
    producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))

    assert producer.flush(60) == 0
    assert errors == [None]


def consume(stack: Stack, topic: str) -> list[bytes]:
    """All records of the topic, read by a new group up to the end offset."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka.bootstrap,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error() is None:
                values.append(message.value())
            elif message.error().name() == "_PARTITION_EOF":
                return values
    finally:
        consumer.close()
    pytest.fail(f"the end of {topic} was not reached")


def execute(stack: Stack, statement: str) -> list[tuple[Any, ...]]:
    address = urlsplit(stack.database_url)
    connection = psycopg2.connect(
        host=address.hostname, port=address.port, user=address.username, dbname=address.path[1:]
    )
    with closing(connection), connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_record_produced_is_consumed(stack: Stack, topic: str) -> None:
    produce(stack, topic, b"paid")

    assert consume(stack, topic) == [b"paid"]


def test_topics_are_not_created_by_accident(stack: Stack) -> None:
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap})
    metadata = admin.list_topics("no-such-topic", timeout=10)

    assert metadata.topics["no-such-topic"].error is not None
    assert "no-such-topic" not in admin.list_topics(timeout=10).topics


def test_database_is_postgresql_18_and_durable(stack: Stack) -> None:
    names = ("server_version_num", "fsync", "synchronous_commit", "max_connections", "server_encoding", "timezone")
    settings = {name: execute(stack, f"SHOW {name}")[0][0] for name in names}

    assert settings.pop("server_version_num").startswith("18")
    assert settings == {
        "fsync": "on",
        "synchronous_commit": "on",
        "max_connections": "200",
        "server_encoding": "UTF8",
        "timezone": "UTC",
    }


def test_both_listen_on_loopback_only(stack: Stack) -> None:
    pids = [*(broker.pid for broker in stack.kafka.brokers), stack.postgres.pid]
    listening = [
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert len(listening) >= 3
    assert {ip.removeprefix("::ffff:") for ip in listening} == {LOOPBACK}


@pytest.mark.parametrize("outage", ["stop", "kill"])
def test_kafka_keeps_records_and_address_over(outage: str, stack: Stack, topic: str) -> None:
    address = stack.kafka.bootstrap
    produce(stack, topic, b"before")

    getattr(stack.kafka, outage)()
    assert not answers(stack.kafka.brokers[0].node.port)
    assert stack.kafka.brokers[0].pid is None
    stack.kafka.start()
    produce(stack, topic, b"after")

    assert stack.kafka.bootstrap == address
    assert consume(stack, topic) == [b"before", b"after"]


@pytest.mark.parametrize("outage", ["fast", "immediate", "kill"])
def test_postgres_keeps_committed_rows_and_address_over(outage: str, stack: Stack) -> None:
    address = stack.database_url
    table = f"row_{uuid.uuid4().hex[:8]}"
    execute(stack, f"CREATE TABLE {table} AS SELECT 42 AS answer")
    open_connection = psycopg2.connect(address.replace("+psycopg2", ""))  # an outage does not wait for clients

    if outage == "kill":
        stack.postgres.kill()
    else:
        stack.postgres.stop(mode="fast" if outage == "fast" else "immediate")
    assert not answers(stack.postgres.port)
    assert stack.postgres.pid is None
    stack.postgres.start()

    open_connection.close()
    assert stack.database_url == address
    assert execute(stack, f"SELECT answer FROM {table}") == [(42,)]  # noqa: S608 the name is ours


def test_starting_what_runs_and_stopping_what_is_down_change_nothing(stack: Stack) -> None:
    pids = (stack.kafka.brokers[0].pid, stack.postgres.pid)
    stack.kafka.start()
    stack.postgres.start()
    assert pids == (stack.kafka.brokers[0].pid, stack.postgres.pid)

    for _ in range(2):
        stack.kafka.stop()
        stack.postgres.stop()
    stack.kafka.start()
    stack.postgres.start()

    assert execute(stack, "SELECT 1") == [(1,)]


def test_port_taken_while_the_server_was_down_is_said_clearly(stack: Stack) -> None:
    stack.postgres.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((LOOPBACK, stack.postgres.port))
        other.listen()
        with pytest.raises(PortTaken, match=rf"PostgreSQL .*{stack.postgres.port}"):
            stack.postgres.start()
    stack.postgres.start()

    assert execute(stack, "SELECT 1") == [(1,)]


def test_second_stack_beside_the_first_has_its_own_data(stack: Stack, topic: str) -> None:
    with Stack() as other:
        folder = other.folder
        admin = AdminClient({"bootstrap.servers": other.kafka.bootstrap})

        assert topic not in admin.list_topics(timeout=10).topics
        assert other.database_url != stack.database_url
    assert not folder.exists()


def test_three_brokers_keep_accepting_with_one_killed() -> None:
    with Stack(brokers=3) as stack:
        topic = make_topic(stack, replicas=3)
        produce(stack, topic, b"with three")

        stack.kafka.brokers[1].kill()
        produce(stack, topic, b"with two")
        stack.kafka.brokers[1].start()

        assert consume(stack, topic) == [b"with three", b"with two"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_the_process_that_started_the_stack(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sandbox.stack", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        ports = [int(facts["bootstrap"].rpartition(":")[2]), urlsplit(facts["database_url"]).port or 0]
        assert all(answers(port) for port in ports)
        process.send_signal(number)

    assert process.returncode == (-number if number == signal.SIGKILL else 0)
    eventually(lambda: not any(answers(port) for port in ports), "both ports refuse")
    eventually(lambda: all(is_gone(pid) for pid in facts["pids"]), "both processes end")
    eventually(lambda: not Path(facts["folder"]).exists(), "the data is removed")


def test_address_before_the_start_is_an_error() -> None:
    with pytest.raises(StackError, match="not started"):
        _ = Stack().database_url
