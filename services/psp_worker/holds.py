"""Reasons to take nothing new: the PSP refuses our key or is away, PostgreSQL is away, the log is away.

A hold never stops anything that runs; it makes the worker pause its partitions and go on polling.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from payonce.telemetry import worker_holds

Cause = Literal["configuration", "psp", "database", "log"]


class Holds:
    """Counts who holds for what cause. Belongs to one event loop."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self.on_change = on_change
        self._holders: Counter[Cause] = Counter()
        self._cleared: dict[Cause, asyncio.Event] = {}

    @property
    def active(self) -> bool:
        """Whether anything holds."""
        return self._holders.total() > 0

    def is_held(self, cause: Cause) -> bool:
        """Whether anyone holds for this cause."""
        return self._holders[cause] > 0

    @contextmanager
    def holding(self, cause: Cause) -> Iterator[None]:
        """Hold for the cause while the block runs, whatever ends it."""
        self._count(cause, +1)
        try:
            yield
        finally:
            self._count(cause, -1)

    async def cleared(self, cause: Cause) -> None:
        """Return when nobody holds for the cause."""
        while self.is_held(cause):
            await self._cleared.setdefault(cause, asyncio.Event()).wait()

    def _count(self, cause: Cause, step: int) -> None:
        self._holders[cause] += step
        worker_holds.labels(cause).set(self._holders[cause])
        if not self.is_held(cause) and (event := self._cleared.pop(cause, None)):
            event.set()
        self.on_change()
