"""payment_order as its readers see it, in memory: rows that tests put there, and word of their changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from payonce.domain.commands import Command
from payonce.domain.events import PspEvent, TokenEvent
from payonce.domain.merge import Facts, merge
from payonce.domain.order import contribution, view
from payonce.domain.order_columns import columns_of
from payonce.domain.order_row import OrderRow
from payonce.domain.whole_order import AskedRefund, OrderFilter, TimelineLine, WholeOrder
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


class FakeArchive:
    """Implements the checkout API's OrderArchive over FakeOrders' rows; `fold` makes rows of messages."""

    def __init__(self, orders: FakeOrders) -> None:
        self.orders = orders
        self.facts: dict[str, Facts] = {}
        self.asked: dict[str, tuple[AskedRefund, ...]] = {}
        self.lines: dict[str, list[TimelineLine]] = {}

    def fold(self, *messages: Command | TokenEvent | PspEvent) -> OrderRow:
        """Merge what the messages bring, as the fold does, and commit the row; return it."""
        for offset, message in enumerate(messages):
            adds = contribution(message, position=("topic", 0, offset))
            assert adds.order_id is not None
            row = self._fold_one(adds.order_id, adds.facts)
        return row

    def _fold_one(self, order_id: str, facts: Facts) -> OrderRow:
        self.facts[order_id] = merge(self.facts.get(order_id, {}), facts)
        terms = view(self.facts[order_id]).terms
        columns = columns_of(view(self.facts[order_id])) | {"recurring": terms.recurring if terms else None}
        columns["status"] = columns.pop("payment_order_status")
        columns["flags"] = tuple(columns["flags"])
        made = OrderRow(order_id, "created", 1, 0, created_at=1_790_000_000, updated_at=1_790_000_000)
        before = self.orders.rows.get(order_id, made)
        row = replace(before, **columns, version=before.version + 1, updated_at=before.updated_at + 1)
        self.orders.put(row)
        return row

    async def order(self, order_id: str) -> WholeOrder | None:
        """Return the whole order, or be away."""
        row = await self.orders.order(order_id)
        return None if row is None else self._whole(row)

    async def page(
        self, client_id: str, wanted: OrderFilter, *, after: str | None, limit: int
    ) -> Sequence[WholeOrder] | None:
        """Return the client's orders, newest first."""
        await self.orders.order("")
        rows = [row for row in self.orders.rows.values() if row.client_id == client_id and _fits(row, wanted)]
        rows.sort(key=_age, reverse=True)
        if after is not None:
            cursor = self.orders.rows.get(after)
            if cursor is None or cursor.client_id != client_id:
                return None
            rows = [row for row in rows if _age(row) < _age(cursor)]
        return [self._whole(row) for row in rows[:limit]]

    async def timeline(self, order_id: str, *, after: str | None, limit: int) -> Sequence[TimelineLine] | None:
        """Return the lines as they were put there."""
        await self.orders.order("")
        lines = self.lines.get(order_id, [])
        if after is not None:
            places = [place for place, line in enumerate(lines) if line.event_id == after]
            if not places:
                return None
            lines = lines[places[0] + 1 :]
        return lines[:limit]

    def _whole(self, row: OrderRow) -> WholeOrder:
        return WholeOrder(row, self.facts.get(row.order_id, {}), self.asked.get(row.order_id, ()))


def _age(row: OrderRow) -> tuple[int, str]:
    return row.created_at, row.order_id


def _fits(row: OrderRow, wanted: OrderFilter) -> bool:
    return (
        wanted.order_id in {None, row.order_id}
        and wanted.status in {None, row.status}
        and (wanted.created_from is None or row.created_at >= wanted.created_from)
        and (wanted.created_until is None or row.created_at < wanted.created_until)
    )
