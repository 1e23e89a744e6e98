"""How fast this worker may call the PSP: evenly spaced calls, a share of the limit by the partitions it holds.

All workers together stay under the limit in any one second, handovers included. Time comes from the Clock port only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from payonce.ports import Clock
from services.psp_worker.timing import POLL_FRESH_SECONDS, SHARE_DELAY_SECONDS

#: Of the PSP's limit; the rest is for clocks, bunching on the way, and a worker frozen between check and send.
_USED_SHARE = 0.8
#: After a 429: half the pace, at most this slow, doubled again after each quiet spell.
_SLOWEST_FACTOR = 0.1
_QUIET_SECONDS = 10.0
#: Answers to calls that left before we slowed down say nothing new.
_SAME_COMPLAINT_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.1


class Pacer:
    """One line of callers. Its head waits until a call is `due`, makes ready, and says that it has `left`."""

    def __init__(
        self, clock: Clock, *, limit_per_second: float, partitions: int, last_poll_at: Callable[[], float]
    ) -> None:
        self.line = asyncio.Lock()  # fair: first come, first called
        self._clock = clock
        self._last_poll_at = last_poll_at
        self._rate_per_partition = limit_per_second * _USED_SHARE / partitions
        self._held = 0
        self._gained: tuple[float, int] | None = None  # (from when on, partitions held then)
        self._left_at: float | None = None
        self._factor = 1.0
        self._slowed_at = float("-inf")

    def hold(self, partitions: int) -> None:
        """Note how many partitions are held now: less counts at once, more after their former owners have stopped."""
        now = self._clock.monotonic()
        self._held = min(self._held_at(now), partitions)
        self._gained = (now + SHARE_DELAY_SECONDS, partitions) if partitions > self._held else None

    def slow_down(self) -> None:
        """Call less often for a while: the PSP has complained."""
        now = self._clock.monotonic()
        if now - self._slowed_at < _SAME_COMPLAINT_SECONDS:
            return
        self._factor = max(_SLOWEST_FACTOR, self._factor_at(now) / 2)
        self._slowed_at = now

    def rate(self) -> float:
        """Return the calls per second allowed now."""
        now = self._clock.monotonic()
        return self._held_at(now) * self._rate_per_partition * self._factor_at(now)

    async def due(self) -> None:
        """Return when a call may leave at once. Only for the head of the line, which must then say `left`."""
        while (seconds := self._seconds_left()) > 0:
            await self._clock.sleep(seconds)

    def left(self) -> None:
        """Note that a call leaves now."""
        self._left_at = self._clock.monotonic()

    def _seconds_left(self) -> float:
        now, rate = self._clock.monotonic(), self.rate()
        if rate <= 0 or now - self._last_poll_at() > POLL_FRESH_SECONDS:
            return _LOOK_AGAIN_SECONDS
        if self._left_at is None:
            return 0.0
        # Look again now and then: a share gained meanwhile shortens the wait.
        return min(self._left_at + 1 / rate - now, _LOOK_AGAIN_SECONDS)

    def _held_at(self, now: float) -> int:
        if self._gained is not None and now >= self._gained[0]:
            self._held, self._gained = self._gained[1], None
        return self._held

    def _factor_at(self, now: float) -> float:
        quiet_spells = min(max(now - self._slowed_at, 0.0) / _QUIET_SECONDS, 64)
        return min(1.0, self._factor * 2.0 ** int(quiet_spells))
