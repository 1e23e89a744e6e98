"""Stripe's request limits: so many calls in any one second, per endpoint and in all; and the count that proves it."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from sandbox.stripe_simulator.errors import rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable

_TOTAL = "total"
_WINDOW_SECONDS = 1.0


class SlidingWindow:
    """Calls of the last second, by real time, and the most that any one second has seen."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque()
        self.most = 0

    def count(self, now: float) -> int:
        while self._calls and self._calls[0] <= now - _WINDOW_SECONDS:
            self._calls.popleft()
        return len(self._calls)

    def add(self, now: float) -> None:
        self._calls.append(now)
        self.most = max(self.most, self.count(now))


class RateLimits:
    """Counts calls as they arrive, and admits or refuses them. What is refused does not count against the limit."""

    def __init__(self, per_endpoint: int, total: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Set the calls per second; 0 is no limit."""
        self.per_endpoint = per_endpoint
        self.total = total
        self._monotonic = monotonic
        self._admitted: defaultdict[str, SlidingWindow] = defaultdict(SlidingWindow)
        self._seen: defaultdict[str, SlidingWindow] = defaultdict(SlidingWindow)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.refused: defaultdict[str, int] = defaultdict(int)

    def arrived(self, endpoint: str) -> None:
        """Count one call of a named operation, whatever becomes of it."""
        now = self._monotonic()
        self.calls[endpoint] += 1
        self._seen[endpoint].add(now)
        self._seen[_TOTAL].add(now)

    def admit(self, endpoint: str) -> None:
        """Let a call that has arrived go on. Raises ApiError (429) with the reason's header."""
        now = self._monotonic()
        if self.per_endpoint and self._admitted[endpoint].count(now) >= self.per_endpoint:
            self.refused[endpoint] += 1
            raise rate_limited("endpoint-rate")
        if self.total and self._admitted[_TOTAL].count(now) >= self.total:
            self.refused[endpoint] += 1
            raise rate_limited("global-rate")
        self._admitted[endpoint].add(now)
        self._admitted[_TOTAL].add(now)

    def most_per_second(self) -> dict[str, int]:
        """Return the most calls, refused ones included, that arrived in any one second, per endpoint and in total."""
        return {endpoint: window.most for endpoint, window in self._seen.items()}

    def reset_counts(self) -> None:
        for counts in (self._seen, self.calls, self.refused):
            counts.clear()
