"""Real parts for the tests that ask for them; started once, at the first use."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from payonce.adapters.kafka.topics import create_topics
from payonce.adapters.migrations import upgrade
from tests.stacks import ChosenStack, chosen_stack

_numbers = itertools.count(1)


def pytest_configure() -> None:
    """Give every process of a test run the same fresh seeds: they must agree on the tests there are."""
    os.environ.setdefault("SIMULATION_START", str(int(time.time())))


@pytest.fixture(scope="session")
def stack() -> Iterator[ChosenStack]:
    """Real Kafka (no topics yet) and real PostgreSQL (one empty database)."""
    with chosen_stack() as chosen:
        yield chosen


@pytest.fixture(scope="session")
def bootstrap(stack: ChosenStack) -> str:
    """Kafka with every declared topic."""
    create_topics(stack.bootstrap)
    return stack.bootstrap


@pytest.fixture(scope="module")
def database_url(stack: ChosenStack) -> Iterator[str]:
    """A database of this module's own with the newest tables."""
    name = f"test_{next(_numbers)}"
    # No pool: a test may stop PostgreSQL, and a kept connection would be a dead one afterwards.
    admin = create_engine(stack.database_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    url = make_url(stack.database_url).set(database=name).render_as_string(hide_password=False)
    upgrade(url)
    yield url
    with admin.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
