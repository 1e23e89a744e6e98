"""Reading an order for a request, and waiting for it to change: bounded, and cheap while PostgreSQL is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from payonce.ports import Clock, StoreUnavailable
from services.checkout_api.limits import WaitingRoom
from services.checkout_api.ports import OrderReads, OrderWatch

Read = TypeVar("Read")

#: A hint may be lost, so a waiter reads again after this long even if it has heard nothing.
REREAD_SECONDS = 1.0
#: Waiting requests at once in one room; beyond that a request is answered with what is known now.
SEATS = 2_000


class Orders(Generic[Read]):
    """The orders as requests read them: their rows, or all of them."""

    def __init__(
        self,
        reads: OrderReads[Read],
        watch: OrderWatch,
        clock: Clock,
        *,
        seats: int = SEATS,
        reread_seconds: float = REREAD_SECONDS,
    ) -> None:
        self._reads = reads
        self._watch = watch
        self._clock = clock
        self._room = WaitingRoom(seats)
        self._reread_seconds = reread_seconds
        self._closing = False

    @property
    def closing(self) -> bool:
        """Whether the process is about to end."""
        return self._closing

    def stop_waiting(self) -> None:
        """Let whoever waits be answered with what is known at the next re-read."""
        self._closing = True

    async def now(self, order_id: str) -> Read | None:
        """Return the order, None if it is not folded yet. Raises StoreUnavailable, at once if that is known already."""
        if not self._watch.healthy:
            raise StoreUnavailable("PostgreSQL is away")
        return await self._reads.order(order_id)

    async def when(self, order_id: str, settled: Callable[[Read | None], bool], *, seconds: float) -> Read | None:
        """Return the order once `settled` says so, or as it is when the time is over.

        Raises StoreUnavailable if it cannot be read when the time is over.
        """
        deadline = self._clock.monotonic() + seconds
        with self._watch.waiter(order_id) as waiter, self._room.seat() as seated:
            while True:
                left = deadline - self._clock.monotonic()
                last_look = left <= 0 or not seated or self._closing
                try:
                    order = await self.now(order_id)
                    if last_look or settled(order):
                        return order
                except StoreUnavailable:
                    if last_look:
                        raise
                await _first(waiter.changed(), self._clock.sleep(min(self._reread_seconds, left)))


async def _first(*coroutines: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
