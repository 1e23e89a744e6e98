"""Which Kafka and PostgreSQL the tests run on: the environment's, else Docker's, else the embedded ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from payonce.adapters.kafka.topics import BrokersAway, partition_counts
from payonce.adapters.migrations import upgrade
from sandbox.stack import Stack
from sandbox.stack.cache import Cache
from sandbox.stack.ports import PortLease

#: Held until the test process ends: a server that is started seconds later still finds its port free.
_ports = PortLease(Cache.of_user())


@dataclass(frozen=True, slots=True)
class ChosenStack:
    """Addresses of a running Kafka and PostgreSQL; `embedded` can be stopped and killed, the others cannot."""

    bootstrap: str
    database_url: str
    embedded: Stack | None = None


@contextmanager
def chosen_stack() -> Iterator[ChosenStack]:
    """Yield the stack that this machine offers; PAYONCE_TEST_STACK=embedded|docker insists on one."""
    bootstrap, database_url = os.environ.get("PAYONCE_TEST_BOOTSTRAP"), os.environ.get("PAYONCE_TEST_DATABASE_URL")
    if bootstrap and database_url:
        yield ChosenStack(bootstrap, database_url)
    elif os.environ.get("PAYONCE_TEST_STACK") != "embedded" and docker_answers():
        with _containers() as stack:
            yield stack
    else:
        with Stack(on_progress=print) as stack:
            yield ChosenStack(stack.kafka.bootstrap, stack.database_url, stack)


@contextmanager
def fresh_database(stack: ChosenStack) -> Iterator[str]:
    """Yield the address of an empty database with the newest tables."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    # No pool: a test may stop PostgreSQL, and a kept connection would be a dead one afterwards.
    admin = create_engine(stack.database_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    url = make_url(stack.database_url).set(database=name).render_as_string(hide_password=False)
    upgrade(url)
    yield url
    with admin.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


def wait_until_gone(engine: Engine, application_name: str) -> None:
    """Wait until the database has no session of a name (LIKE) left: a closed connection's ends a little later."""
    sessions = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE :name AND datname = current_database()"
    )
    deadline = time.monotonic() + 60
    while True:
        with engine.connect() as connection:
            if connection.execute(sessions, {"name": application_name}).scalar_one() == 0:
                return
        assert time.monotonic() < deadline, f"{application_name}: still connected"
        time.sleep(0.01)


def free_port() -> int:
    """Return a loopback port that nobody else takes while this process lives."""
    return _ports.take()


def docker_answers() -> bool:
    """Return whether a Docker engine (not only its client) is there."""
    if shutil.which("docker") is None:
        return False
    probe = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    return probe.returncode == 0


def kafka_environment(port: int) -> dict[str, str]:
    """Return the settings of one apache/kafka container that clients outside reach under the port it has inside."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }


@contextmanager
def _containers() -> Iterator[ChosenStack]:
    # Not the package's own KafkaContainer: it knows Confluent's image only, and we test on Apache's.
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.container import DockerContainer

    ports = PortLease(Cache.of_user())
    port = ports.take()
    kafka = DockerContainer("apache/kafka:4.3.1").with_bind_ports(port, port)
    for name, value in kafka_environment(port).items():
        kafka.with_env(name, value)
    postgres = PostgresContainer(
        "postgres:18", username="payonce", password="payonce", dbname="payonce", driver="psycopg2"
    )
    with kafka, postgres:
        bootstrap = f"127.0.0.1:{port}"
        _wait_for_kafka(bootstrap)
        yield ChosenStack(bootstrap, postgres.get_connection_url())
    ports.release()


def _wait_for_kafka(bootstrap: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            partition_counts(bootstrap, [], timeout_seconds=2)
        except BrokersAway:
            if time.monotonic() > deadline:
                raise
        else:
            return
