"""What every test run begins with, and real parts for the tests that ask for them: started once, at the first use."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from payonce.adapters.kafka.topics import create_topics
from tests.stacks import ChosenStack, chosen_stack, fresh_database


def pytest_configure() -> None:
    """Give every process of a test run the same fresh seeds, and Hypothesis patience, before a test is imported."""
    # They must agree on the tests there are.
    os.environ.setdefault("SIMULATION_START", str(int(time.time())))
    # Hypothesis's own deadline is 200 ms an example: one stall of a busy machine. The rest stays as Hypothesis chooses
    # it: new examples on a desk, the same ones in CI. A profile asked for on the command line is loaded after this one.
    settings.register_profile("payonce", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("payonce")


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
    with fresh_database(stack) as url:
        yield url
