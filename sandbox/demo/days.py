"""The days of several lives at once: the PSP's clock moves on only when each of them waits for a later day.

So no life misses what happens in between, and whatever a life waits for here and now is waited for in real time.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

DAY_SECONDS = 86_400


class PspClock(Protocol):
    """The PSP's time, which can be moved. Blocking."""

    def advance_clock(self, seconds: float) -> dict[str, float]:
        """Move it on; what becomes due happens before this returns `{"now": unix seconds}`."""
        ...


class Days:
    """Shared by as many lives as `lives` says. Each of them calls `leave` once, when it is over."""

    def __init__(self, clock: PspClock, lives: int) -> None:
        self._clock = clock
        self._lives = lives
        self._awaited: list[tuple[float, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()
        self._began: float | None = None
        self._now = 0.0

    @property
    def day(self) -> int:
        """The number of days that have passed since the time was first looked at."""
        return int((self._now - (self._began or self._now)) // DAY_SECONDS)

    async def now(self) -> float:
        """Return the PSP's time, unix seconds."""
        return await self._move(0)

    async def until(self, when: float) -> None:
        """Wait until the PSP's clock has come to `when` (unix seconds)."""
        came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited.append((when, came))
        self._changed.set()
        await came

    def leave(self) -> None:
        """Wait for no day any more: the others go on without this life."""
        self._lives -= 1
        self._changed.set()

    async def run(self) -> None:
        """Move the clock whenever all wait for it; return when every life has left."""
        while self._lives:
            if len(self._awaited) == self._lives:
                await self.run_once()
            else:
                await self._changed.wait()
                self._changed.clear()

    async def run_once(self) -> None:
        """Move on to the earliest day that is waited for, and wake whom it was for."""
        now = await self.now()
        now = await self._move(max(0.0, min(when for when, _ in self._awaited) - now))
        due, self._awaited = (
            [came for when, came in self._awaited if when <= now],
            [(when, came) for when, came in self._awaited if when > now],
        )
        for came in due:
            if not came.done():
                came.set_result(None)

    async def _move(self, seconds: float) -> float:
        self._now = (await asyncio.to_thread(self._clock.advance_clock, seconds))["now"]
        self._began = self._began or self._now
        return self._now
