"""The reconciler's part of the PSP's limit: evenly spaced calls, and a pause after a complaint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from payonce.ports import Clock, EventPage, GatewayFailure, PspReads

T = TypeVar("T")
#: After a 429, nothing is asked for so long.
COMPLAINT_SECONDS = 10.0


class PacedReads:
    """Implements PspReads over another one: no more than `calls_per_second`, without bursts. For one loop."""

    def __init__(self, reads: PspReads, clock: Clock, *, calls_per_second: float) -> None:
        self._reads = reads
        self._clock = clock
        self._spacing = 1 / calls_per_second
        self._next_at = float("-inf")
        self._line = asyncio.Lock()

    async def events(
        self,
        types: Sequence[str],
        *,
        created_from: int,
        created_until: int | None = None,
        starting_after: str | None = None,
        undelivered_only: bool = False,
    ) -> EventPage:
        return await self._paced(
            lambda: self._reads.events(
                types,
                created_from=created_from,
                created_until=created_until,
                starting_after=starting_after,
                undelivered_only=undelivered_only,
            )
        )

    async def object(self, psp_id: str) -> Mapping[str, Any] | None:
        return await self._paced(lambda: self._reads.object(psp_id))

    async def sessions_of(self, payment_intent: str) -> Sequence[Mapping[str, Any]]:
        return await self._paced(lambda: self._reads.sessions_of(payment_intent))

    async def invoices_of(self, payment_intent: str) -> Sequence[str]:
        return await self._paced(lambda: self._reads.invoices_of(payment_intent))

    async def _paced(self, call: Callable[[], Awaitable[T]]) -> T:
        async with self._line:
            wait = self._next_at - self._clock.monotonic()
            if wait > 0:
                await self._clock.sleep(wait)
            self._next_at = self._clock.monotonic() + self._spacing
        try:
            return await call()
        except GatewayFailure as failure:
            if failure.kind == "rate_limited":
                self._next_at = self._clock.monotonic() + COMPLAINT_SECONDS
            raise
