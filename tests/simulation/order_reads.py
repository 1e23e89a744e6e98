"""What checkout_api reads, on the simulated PostgreSQL: rows, and whole orders with the ledger's refunds.

Nobody is ever told that a row has changed: waiting requests live by reading again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import orjson

from payonce.domain.order_row import OrderRow
from payonce.domain.whole_order import AskedRefund, OrderFilter, TimelineLine, WholeOrder
from payonce.ports import RefundEntry
from tests.simulation.database import Database
from tests.simulation.fold_tables import ORDERS
from tests.simulation.ledger_tables import REFUNDS
from tests.simulation.network import Network
from tests.simulation.scheduler import Incarnation

T = TypeVar("T")


class _Reader:
    def __init__(self, database: Database, network: Network, owner: Incarnation) -> None:
        self._database = database
        self._network = network
        self._owner = owner

    async def _read(self, look: Callable[[], T]) -> T:
        def answer() -> T:
            self._database.require_up()
            return look()

        return await self._network.call(self._owner, answer)

    def _row(self, order_id: str) -> OrderRow | None:
        stored = self._database.tables.get(ORDERS, {}).get(order_id)
        return None if stored is None else order_row(order_id, stored)


class SimulatedReads(_Reader):
    """Implements the API's OrderReads and OrderWatch for one incarnation."""

    healthy = True

    async def order(self, order_id: str) -> OrderRow | None:
        return await self._read(lambda: self._row(order_id))

    @contextmanager
    def waiter(self, order_id: str) -> Iterator[SimulatedReads]:
        yield self

    async def changed(self) -> None:
        await asyncio.get_running_loop().create_future()


class SimulatedArchive(_Reader):
    """Implements the API's OrderArchive for one incarnation, as far as commands ask it."""

    async def order(self, order_id: str) -> WholeOrder | None:
        return await self._read(lambda: self._whole(order_id))

    async def page(
        self, client_id: str, wanted: OrderFilter, *, after: str | None, limit: int
    ) -> Sequence[WholeOrder] | None:
        raise NotImplementedError("no client of the simulation looks through lists")

    async def timeline(self, order_id: str, *, after: str | None, limit: int) -> Sequence[TimelineLine] | None:
        raise NotImplementedError("no client of the simulation reads timelines")

    def _whole(self, order_id: str) -> WholeOrder | None:
        row = self._row(order_id)
        if row is None:
            return None
        facts = orjson.loads(self._database.tables[ORDERS][order_id][0])
        refunds = [each for each in self._database.tables.get(REFUNDS, {}).values() if each.order_id == order_id]
        refunds.sort(key=lambda each: (each.first_try_at, each.refund_reference))
        return WholeOrder(row, facts, tuple(_asked(each) for each in refunds))


def order_row(order_id: str, stored: tuple[bytes, Any, int]) -> OrderRow | None:
    """Return a stored order as the API reads it; None while only its row was made and nothing is known."""
    _, columns, version = stored
    known = dict(columns)
    status = known.pop("payment_order_status")
    if status is None:
        return None
    fields = {**known, "flags": tuple(known["flags"] or ())}
    return OrderRow(order_id=order_id, status=status, version=version, created_at=0, updated_at=0, **fields)


def _asked(row: RefundEntry) -> AskedRefund:
    """Read a row of the ledger as payonce.adapters.asked_refunds does."""
    outcome = orjson.loads(row.outcome_body) if row.outcome_body is not None else {}
    is_rejected = row.state == "rejected"
    return AskedRefund(
        refund_reference=row.refund_reference,
        command_id=row.command_id,
        payment=row.payment,
        amount=row.amount,
        asked_at=int(row.first_try_at),
        refund_id=row.refund_id,
        taken_amount=None if is_rejected else outcome.get("amount"),
        failed=is_rejected,
        failure_reason=outcome.get("reason") if is_rejected else None,
        failure_detail=outcome.get("detail") if is_rejected else None,
    )
