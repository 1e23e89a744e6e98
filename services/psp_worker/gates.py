"""One limit of the PSP, and what of it a worker may use: evenly spaced departures, and not too many calls on the way.

Spacing alone holds only while the network is even: what it holds back for a while arrives all at once. So whatever may
have arrived within the last second, or may still arrive, is counted, and is never more than the limit.
"""

from __future__ import annotations

import heapq
import math

#: Of the PSP's limit; the rest is for clocks, bunching on the way, and a worker frozen between check and send.
USED_SHARE = 0.8
_WINDOW_SECONDS = 1.0


class Gate:
    """One limit, shared by the partitions that are held. Times are monotonic seconds."""

    def __init__(self, limit: float, reserved: float, partitions: int, share: float = 1.0) -> None:
        pace = max(limit * USED_SHARE - reserved, limit * (1 - USED_SHARE)) * share
        self._pace_per_partition = pace / partitions
        self._departures_per_partition = (limit - math.ceil(reserved)) / partitions
        self._left_at: float | None = None
        self._on_the_way = 0
        self._arrived_at: list[float] = []  # a heap; of those that came back

    def rate(self, held: int) -> float:
        """Return the calls per second for the holder of so many partitions.

        Evenly spaced calls at a rate that is no whole number can be one more in some second. Where many workers hold
        few partitions each, that one more counts: each stays within its part of the limit by itself.
        """
        pace, departures = held * self._pace_per_partition, self._per_second(held)
        return min(pace, departures) if departures >= 1 else pace

    def opens_at(self, rate: float) -> float:
        """Return when the next call may leave by the pace."""
        return float("-inf") if self._left_at is None else self._left_at + 1 / rate

    def is_full(self, held: int, now: float) -> bool:
        """Return whether as many calls may arrive in one second as the holder of so many partitions may make."""
        while self._arrived_at and self._arrived_at[0] <= now - _WINDOW_SECONDS:
            heapq.heappop(self._arrived_at)
        return self._on_the_way + len(self._arrived_at) >= max(1, self._per_second(held))

    def left(self, now: float) -> None:
        """Note a call that leaves."""
        self._left_at = now
        self._on_the_way += 1

    def came_back(self, arrived_at: float) -> None:
        """Note the end of a call, answered or not, that arrived at the PSP then at the latest."""
        self._on_the_way -= 1
        heapq.heappush(self._arrived_at, arrived_at)

    def _per_second(self, held: int) -> int:
        return math.floor(held * self._departures_per_partition)
