"""Bugs planted on purpose: each breaks one rule in a line, and the simulation must find every one.

Applied in this process only, for the length of a `with` block. A seam that has moved fails here, not in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Bug:
    """A rule, and how to break it."""

    rule: str
    plant: Patch


BUGS: dict[str, Bug] = {}


#: Bugs that a race shows at once, by the race; the lives of a shop need not run into them.
RACE_BUGS: dict[str, Bug] = {}


@contextmanager
def planted(broken: Bug) -> Iterator[None]:
    """Let the product have this bug."""
    with pytest.MonkeyPatch.context() as patch:
        broken.plant(patch)
        yield


def bug(rule: str) -> Callable[[Patch], Patch]:
    """Put a bug on the list, under its own name."""

    def register(plant: Patch) -> Patch:
        BUGS[plant.__name__] = Bug(rule, plant)
        return plant

    return register


def race_bug(race: str, rule: str) -> Callable[[Patch], Patch]:
    """Put a bug on the list of the races, under the name of the one that has to find it."""

    def register(plant: Patch) -> Patch:
        RACE_BUGS[race] = Bug(rule, plant)
        return plant

    return register


def in_background(work: Coroutine[Any, Any, Any]) -> None:
    """Do it some time, and never ask what came of it."""
    asyncio.ensure_future(work).add_done_callback(lambda task: task.cancelled() or task.exception())
