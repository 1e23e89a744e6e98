"""payment_order as its readers see it, in memory: rows that tests put there, and word of their changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from payonce.domain.order_row import OrderRow
from payonce.ports import StoreUnavailable


class FakeWaiter:
    """One waiting request."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def changed(self) -> None:
        """Return once woken."""
        await self.event.wait()
        self.event.clear()


class FakeOrders:
    """Implements the checkout API's OrderReads and OrderWatch over one dictionary."""

    def __init__(self) -> None:
        self.rows: dict[str, OrderRow] = {}
        self.healthy = True
        self.answers = True
        self.reads = 0
        self.waiters: dict[str, list[FakeWaiter]] = {}

    def put(self, order: OrderRow, *, silently: bool = False) -> None:
        """Commit a row and tell its waiters, unless the word gets lost."""
        self.rows[order.order_id] = order
        if not silently:
            for waiter in self.waiters.get(order.order_id, []):
                waiter.event.set()

    async def order(self, order_id: str) -> OrderRow | None:
        """Return the row, or be away."""
        self.reads += 1
        if not self.answers:
            raise StoreUnavailable("away")
        return self.rows.get(order_id)

    @contextmanager
    def waiter(self, order_id: str) -> Iterator[FakeWaiter]:
        """Register a waiter."""
        waiter = FakeWaiter()
        waiting = self.waiters.setdefault(order_id, [])
        waiting.append(waiter)
        try:
            yield waiter
        finally:
            waiting.remove(waiter)
