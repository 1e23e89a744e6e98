"""What the calls of all commands together say about the PSP, endpoint by endpoint: pure bookkeeping, nobody waits here.

One order's failures are its own problem while others succeed there, the endpoint's while nobody does, and the PSP's if
that does not answer a harmless question either.
"""

from __future__ import annotations

from collections import defaultdict

from services.psp_worker.pace import Endpoint

#: So many failures in a row, with no success between them: the endpoint, or the whole PSP, is away.
FAILURES_IN_A_ROW = 5
#: So many different orders refused in a row, with no success between them: our configuration is wrong.
REFUSALS_IN_A_ROW = 3


class Breaker:
    """Counts for one endpoint. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._failures = 0
        self._failing: set[str] = set()
        self._refused: set[str] = set()
        self._healthy_since: float | None = None
        self._succeeded_at = float("-inf")

    def succeeded(self, now: float) -> None:
        """Note a call of a command that the PSP has answered, accepting or refusing it in its own words."""
        self._failures = 0
        self._failing.clear()
        self._refused.clear()
        self._succeeded_at = now
        if self._healthy_since is None:
            self._healthy_since = now

    def failed(self, order_id: str) -> bool:
        """Note a call without a usable answer; return whether the endpoint is to be held for away."""
        self._failures += 1
        if len(self._failing) <= 1:  # one or several: more need not be known
            self._failing.add(order_id)
        if self._failures < FAILURES_IN_A_ROW:
            return False
        self._healthy_since = None
        return True

    def refused(self, order_id: str) -> bool:
        """Note an order whose call was refused although our credentials are good; return whether too many were."""
        if len(self._refused) < REFUSALS_IN_A_ROW:
            self._refused.add(order_id)
        return len(self._refused) >= REFUSALS_IN_A_ROW

    def away(self) -> None:
        """Note that the whole PSP does not answer."""
        self._failures = 0
        self._healthy_since = None

    def fails_alone(self, order_id: str) -> bool:
        """Return whether no other order has failed here since the last success."""
        return self._failing <= {order_id}

    def others_succeed_since(self, failing_since: float) -> float | None:
        """Return since when others succeed while one fails, None if none has."""
        if self._healthy_since is None or self._succeeded_at <= failing_since:
            return None
        return max(self._healthy_since, failing_since)


class Breakers:
    """One for each endpoint."""

    def __init__(self) -> None:
        self._of: defaultdict[Endpoint, Breaker] = defaultdict(Breaker)

    def of(self, endpoint: Endpoint) -> Breaker:
        """Return the endpoint's."""
        return self._of[endpoint]

    def away(self) -> None:
        """Note that the PSP does not answer at all: nobody's failures count against anybody."""
        for breaker in self._of.values():
            breaker.away()

    def others_succeed_since(self, endpoint: Endpoint, order_id: str, failing_since: float) -> float | None:
        """Return since when others succeed while this order fails at the endpoint, None if none has.

        Whoever fails there alone, with no other order to compare with, is compared with the other endpoints.
        """
        here = self._of[endpoint]
        since = here.others_succeed_since(failing_since)
        if since is not None or not here.fails_alone(order_id):
            return since
        elsewhere = (breaker.others_succeed_since(failing_since) for breaker in self._of.values())
        return min((each for each in elsewhere if each is not None), default=None)
