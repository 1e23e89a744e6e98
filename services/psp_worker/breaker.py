"""What the calls of all commands together say about the PSP: pure bookkeeping, nobody waits here.

One order's failures are its own problem while others succeed, and the PSP's while nobody does.
"""

from __future__ import annotations

#: So many failures in a row, with no success between them: the PSP is away.
FAILURES_IN_A_ROW = 5
#: So many different orders refused in a row, with no success between them: our configuration is wrong.
REFUSALS_IN_A_ROW = 3


class Breaker:
    """Counts. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._failures = 0
        self._refused: set[str] = set()
        self._healthy_since: float | None = None
        self._succeeded_at = float("-inf")

    def succeeded(self, now: float) -> None:
        """Note a call of a command that the PSP has answered, accepting or refusing it in its own words."""
        self._failures = 0
        self._refused.clear()
        self._succeeded_at = now
        if self._healthy_since is None:
            self._healthy_since = now

    def failed(self) -> bool:
        """Note a call without a usable answer; return whether the PSP is to be held for away."""
        self._failures += 1
        if self._failures < FAILURES_IN_A_ROW:
            return False
        self._healthy_since = None
        return True

    def answered(self) -> None:
        """Note that the canary came back: the PSP is there, which says nothing yet about the calls of commands."""
        self._failures = 0

    def refused(self, order_id: str) -> bool:
        """Note an order whose call was refused although our credentials are good; return whether too many were."""
        self._refused.add(order_id)
        return len(self._refused) >= REFUSALS_IN_A_ROW

    def others_succeed_since(self, failing_since: float) -> float | None:
        """Return since when others succeed while one fails, None if none has."""
        if self._healthy_since is None or self._succeeded_at <= failing_since:
            return None
        return max(self._healthy_since, failing_since)
