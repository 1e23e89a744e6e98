"""The simulator's time: the real clock plus an offset that only grows, and what is due at a time."""

from __future__ import annotations

import heapq
import itertools
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Time in seconds since 1970, with a list of actions that are due later."""

    def __init__(self, real_time: Callable[[], float] = time.time) -> None:
        self._real_time = real_time
        self._offset = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], object]]] = []

    def now(self) -> float:
        return self._real_time() + self._offset

    def seconds(self) -> int:
        """Return the time as Stripe writes it: whole seconds."""
        return int(self.now())

    def at(self, when: float, action: Callable[[], object]) -> None:
        """Run `action` once the clock has reached `when`; an action must tolerate that its object has changed."""
        heapq.heappush(self._due, (when, next(self._order), action))

    def fire_due(self) -> int:
        """Run what is due, oldest first, and say how much that was."""
        fired = 0
        while self._due and self._due[0][0] <= self.now():
            heapq.heappop(self._due)[2]()
            fired += 1
        return fired

    def advance(self, seconds: float) -> int:
        """Move on by `seconds`, stopping at each due time, so that what happens carries the time when it was due."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        target = self.now() + seconds
        fired = self.fire_due()
        while self._due and self._due[0][0] <= target:
            self._offset += max(0.0, self._due[0][0] - self.now())
            fired += self.fire_due()
        self._offset += max(0.0, target - self.now())
        return fired
