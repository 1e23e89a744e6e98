"""A clock that moves only when somebody sleeps, and then at once; what is due on the way happens at its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

START = 1_790_000_000.0


class VirtualClock:
    """Implements ports.Clock for one sleeper at a time."""

    def __init__(self, start: float = START) -> None:
        self._now = start
        self._due: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        """Return virtual unix seconds."""
        return self._now

    def monotonic(self) -> float:
        """Return the same."""
        return self._now

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen in so many seconds."""
        self._due.append((self._now + seconds, action))
        self._due.sort(key=lambda due: due[0])

    def advance(self, seconds: float) -> None:
        """Move on, running what is due."""
        self._run_until(self._now + seconds)

    async def sleep(self, seconds: float) -> None:
        """Move on to the next thing that is due, let everyone react, and only then to the end of the sleep."""
        end = self._now + seconds
        while self._due and self._due[0][0] <= end:
            self._run_until(self._due[0][0])
            await _everyone_has_reacted()
        await _everyone_has_reacted()
        self._now = max(self._now, end)

    def _run_until(self, end: float) -> None:
        while self._due and self._due[0][0] <= end:
            moment, action = self._due.pop(0)
            self._now = max(self._now, moment)
            action()
        self._now = max(self._now, end)


async def _everyone_has_reacted() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
