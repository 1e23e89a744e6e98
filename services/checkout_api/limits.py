"""Limits that protect the service from its callers: a request rate per client, waiting requests, open streams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from payonce.ports import Clock


@dataclass(slots=True)
class _Bucket:
    tokens: float
    refilled_at: float


class RateLimit:
    """A token bucket per client: `rate` requests per second, and one second's worth at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, client_id: str, rate: float) -> float:
        """Take one token; return 0.0, or the seconds until there is one. Never blocks."""
        now, capacity = self._clock.monotonic(), max(1.0, rate)
        bucket = self._buckets.setdefault(client_id, _Bucket(capacity, now))
        bucket.tokens = min(capacity, bucket.tokens + (now - bucket.refilled_at) * rate)
        bucket.refilled_at = now
        if bucket.tokens < 1.0:
            return (1.0 - bucket.tokens) / rate
        bucket.tokens -= 1.0
        return 0.0


class WaitingRoom:
    """A bound on requests that wait at the same time: links are public, so strangers may wait too."""

    def __init__(self, seats: int) -> None:
        self._free = seats

    @contextmanager
    def seat(self) -> Iterator[bool]:
        """Yield whether there was a seat; without one the request is answered with what is known now."""
        if self._free <= 0:
            yield False
            return
        self._free -= 1
        try:
            yield True
        finally:
            self._free += 1


class Streams:
    """A bound on streams that are open at the same time: in total, and for each client, so that none takes them all."""

    def __init__(self, in_total: int, per_client: int) -> None:
        self._in_total = in_total
        self._per_client = per_client
        self._open: Counter[str] = Counter()

    @contextmanager
    def stream(self, client_id: str) -> Iterator[bool]:
        """Yield whether one more may be opened; if so it is open for the time of the block."""
        if self._open.total() >= self._in_total or self._open[client_id] >= self._per_client:
            yield False
            return
        self._open[client_id] += 1
        try:
            yield True
        finally:
            self._open[client_id] -= 1
            self._open += Counter()  # forgets clients that have none left
