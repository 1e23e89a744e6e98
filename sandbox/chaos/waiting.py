"""Waiting for a condition with a deadline: the only way in which a run waits for recovery."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaException

T = TypeVar("T")
_LOOK_SECONDS = 0.2


class Overdue(Exception):
    """Something that had to come back by itself did not."""


def wait_for(ready: Callable[[], bool], what: str, deadline_seconds: float) -> None:
    """Block until `ready` says so. Raises Overdue after the deadline."""
    deadline = time.monotonic() + deadline_seconds
    while not ready():
        if time.monotonic() > deadline:
            raise Overdue(f"{what}: not within {deadline_seconds:g} s")
        time.sleep(_LOOK_SECONDS)


def asking_kafka(ask: Callable[[], T], deadline_seconds: float) -> T:
    """Return what Kafka answers, asked again while a broker is away. Blocking. Raises Overdue. `ask` only reads."""
    deadline = time.monotonic() + deadline_seconds
    while True:
        try:
            return ask()
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise Overdue(f"no answer from Kafka within {deadline_seconds:g} s: {error}") from error
        time.sleep(_LOOK_SECONDS)
