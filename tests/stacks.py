"""Which Kafka and PostgreSQL the tests run on: the environment's, else Docker's, else the embedded ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sandbox.stack import Stack


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


def docker_answers() -> bool:
    """Return whether a Docker engine (not only its client) is there."""
    if shutil.which("docker") is None:
        return False
    probe = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    return probe.returncode == 0


@contextmanager
def _containers() -> Iterator[ChosenStack]:
    from testcontainers.kafka import KafkaContainer
    from testcontainers.postgres import PostgresContainer

    kafka = KafkaContainer("apache/kafka:4.3.1").with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
    postgres = PostgresContainer("postgres:18", username="payonce", password="payonce", dbname="payonce")
    with kafka, postgres:
        yield ChosenStack(kafka.get_bootstrap_server(), postgres.get_connection_url(driver="psycopg2"))
