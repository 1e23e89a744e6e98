"""The machine's clock."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """Implements ports.Clock. Monotonic time is CLOCK_BOOTTIME where the system has it: it counts suspension."""

    def __init__(self) -> None:
        self._boottime = getattr(time, "CLOCK_BOOTTIME", None)

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() if self._boottime is None else time.clock_gettime(self._boottime)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
