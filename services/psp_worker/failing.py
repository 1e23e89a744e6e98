"""How long one command has been failing, at which endpoints, and whether that is its own trouble by now.

Pure bookkeeping: nobody waits here, and nothing is given up here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.psp_worker.breaker import Breakers
from services.psp_worker.pace import Endpoint
from services.psp_worker.timing import STUCK_SECONDS


class Failing:
    """For one caller. Times are monotonic seconds."""

    def __init__(self, breakers: Breakers, order_id: str) -> None:
        self.failures = 0
        self.has_failed = False  # refusals of our credentials count here, too
        self._breakers = breakers
        self._order_id = order_id
        self._since: float | None = None
        self._endpoints: set[Endpoint] = set()
        self._has_aim = False

    @contextmanager
    def one_aim(self) -> Iterator[None]:
        """Count over all calls of the block as one: that one of them succeeds is no success of what they are for."""
        assert not self._has_aim, "an aim has no aims of its own"
        self._has_aim = True
        try:
            yield
        finally:
            self._has_aim = False
            self.succeeded()

    def failed(self, endpoint: Endpoint, now: float) -> None:
        """Note a call that failed by itself, not for our credentials."""
        self.has_failed = True
        self.failures += 1
        self._endpoints.add(endpoint)
        if self._since is None:
            self._since = now

    def succeeded(self) -> None:
        """Note an answer."""
        if self._has_aim:
            return
        self.failures, self.has_failed, self._since = 0, False, None
        self._endpoints.clear()

    def is_stuck(self, now: float) -> bool:
        """Return whether this order has failed for too long while others succeeded wherever it did.

        An endpoint that was away for all keeps nobody's clock running: it starts when others succeed there again.
        """
        if self._since is None:
            return False
        others = [self._breakers.others_succeed_since(each, self._order_id, self._since) for each in self._endpoints]
        known = [since for since in others if since is not None]
        return len(known) == len(others) and now - max(known) >= STUCK_SECONDS
