"""An endpoint that fails, or refuses us, while the PSP is there: it rests, and one command at a time tries it.

The commands of the other endpoints go on. Who has failed already lets those pass who have not: an order that is refused
for ever does not keep the others out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from payonce.ports import Clock
from payonce.telemetry import worker_resting
from services.psp_worker.pace import Endpoint
from services.psp_worker.timing import backoff_seconds

#: Another's call that was on its way may end the rest: whoever waits for its time looks this often.
_LOOK_AGAIN_SECONDS = 1.0


class Rest:
    """One endpoint's. Belongs to one event loop."""

    def __init__(self, endpoint: Endpoint, clock: Clock, jitter: Callable[[], float]) -> None:
        self.is_on = False
        self._clock = clock
        self._jitter = jitter
        self._gauge = worker_resting.labels(endpoint)
        self._line = asyncio.Lock()
        self._returning = asyncio.Lock()
        self._failures = 0
        self._next_at = float("-inf")

    def begin(self) -> None:
        """Rest, or rest longer because the one that tried has failed."""
        self.is_on = True
        self._failures += 1
        self._next_at = self._clock.monotonic() + backoff_seconds(self._failures, self._jitter())
        self._gauge.set(1)

    def end(self) -> None:
        """Let everybody call: the endpoint has answered. Idempotent."""
        self.is_on = False
        self._failures = 0
        self._gauge.set(0)

    @asynccontextmanager
    async def turn(self, *, has_failed: bool) -> AsyncIterator[None]:
        """Enter when it is this command's turn to try, or when the rest is over. Wait without a slot."""
        async with AsyncExitStack() as stack:
            if has_failed:
                await stack.enter_async_context(self._returning)
            await stack.enter_async_context(self._line)
            while self.is_on and (wait := self._next_at - self._clock.monotonic()) > 0:
                await self._clock.sleep(min(wait, _LOOK_AGAIN_SECONDS))
            yield


class Rests:
    """One for each endpoint."""

    def __init__(self, clock: Clock, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._of: dict[Endpoint, Rest] = {}

    def of(self, endpoint: Endpoint) -> Rest:
        """Return the endpoint's."""
        if endpoint not in self._of:
            self._of[endpoint] = Rest(endpoint, self._clock, self._jitter)
        return self._of[endpoint]
