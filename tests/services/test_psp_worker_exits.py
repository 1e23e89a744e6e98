"""The real process ends by itself, says why, and says it by its code, if it cannot work where it is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.stack import Stack
from sandbox.stack.child import Child
from sandbox.stack.guard import Guard
from services.psp_worker.exits import Exit
from tests.services.psp_worker_processes import ARGV, environment

pytestmark = pytest.mark.stack


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
