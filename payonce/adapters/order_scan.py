"""The fold's tables read whole, in one snapshot and as a stream, for those who compare, recompute and verify.

It never writes and never holds more than a page of rows. Keys come in the order of their bytes, whatever the
database's collation is, so that two streams can be merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, TextClause, text

from payonce.adapters.money_statements import INVOICES_OF_O, MOVEMENTS_OF_O
from payonce.adapters.postgres import Database
from payonce.domain.order import Invoice, Movement, view
from payonce.domain.order_columns import columns_of
from payonce.ports import TopicPartition

_PAGE_ROWS = 1_000
#: What follows from an order's facts, as `domain.order_columns` names it.
ORDER_COLUMNS = (
    "client_id",
    "reference",
    "body_hash",
    "payment_type",
    "payment_method",
    "psp",
    "amount",
    "currency",
    "redirect_url",
    "payment_order_status",
    "attempt",
    "psp_token",
    "hosted_page_url",
    "client_secret",
    "page_expires_at",
    "amount_paid",
    "amount_refunded",
    "amount_disputed",
    "failure_reason",
    "failure_detail",
    "flags",
    "evidence_due_by",
    "current_period_end",
    "cancel_at_period_end",
    "next_payment_attempt",
)
_TIMES = frozenset({"page_expires_at", "evidence_due_by", "current_period_end", "next_payment_attempt"})
_SELECTED = ", ".join(
    f"CAST(extract(epoch FROM o.{name}) AS bigint)" if name in _TIMES else f"o.{name}" for name in ORDER_COLUMNS
)
_MONEY = f"CAST({MOVEMENTS_OF_O} AS text), CAST({INVOICES_OF_O} AS text)"
_ROW = f"""
    o.order_id, CAST(o.facts AS text), o.version, CAST(extract(epoch FROM o.updated_at) * 1000 AS bigint), {_MONEY},
    {_SELECTED}
"""
_ALL = text(f'SELECT {_ROW} FROM payment_order AS o ORDER BY o.order_id COLLATE "C"')  # noqa: S608  (constants)
_SOME = text(f"SELECT {_ROW} FROM payment_order AS o WHERE o.order_id = ANY(:order_ids)")  # noqa: S608
_NEXT_IDS = text("SELECT order_id FROM payment_order WHERE order_id > :after ORDER BY order_id LIMIT :limit")
#: jsonb has one text for one value, so equal rows have equal digests. Version and times are not part of it.
_DIGESTS = text(
    f"""
    SELECT o.order_id, md5(CAST(ROW(o.facts, {_MONEY}, {_SELECTED}) AS text)) FROM payment_order AS o
    ORDER BY o.order_id COLLATE "C"
    """  # noqa: S608
)
_OWNERS = text('SELECT psp_id, order_id FROM psp_reference ORDER BY psp_id COLLATE "C"')
_POSITIONS = text("SELECT topic, partition, next_offset FROM fold_position")
_CROSSED = text(
    """
    SELECT count(*) FROM unresolved_event AS e
    WHERE EXISTS (SELECT FROM psp_reference AS r WHERE r.psp_id = ANY(e.psp_ids))
    """
)


@dataclass(frozen=True, slots=True)
class ScannedOrder:
    """A row of payment_order: its facts, the columns and the money that should follow. Times in unix milliseconds."""

    order_id: str
    facts: Mapping[str, Any]
    columns: Mapping[str, Any]
    version: int
    updated_at_ms: int
    movements: tuple[Movement, ...] = ()
    invoices: tuple[Invoice, ...] = ()

    def told(self) -> dict[str, Any]:
        """Return everything that should follow from the facts, by the names of `told_by`."""
        return {**self.columns, "movements": self.movements, "invoices": self.invoices}


def told_by(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an order's rows must say by these facts: its columns, its movements of money, its invoices. Pure."""
    order = view(facts)
    return {**columns_of(order), "movements": order.movements, "invoices": order.invoices}


class OrderScan:
    """One snapshot of the tables. Blocking; for one thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def positions(self) -> dict[TopicPartition, int]:
        """Return how far the rows of this snapshot are folded."""
        rows = self._connection.execute(_POSITIONS)
        return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}

    def orders(self) -> Iterator[ScannedOrder]:
        """Yield every order, by id."""
        return map(_order, self._stream(_ALL))

    def orders_of(self, order_ids: Sequence[str]) -> dict[str, ScannedOrder]:
        """Return those of the orders that have a row."""
        rows = self._connection.execute(_SOME, {"order_ids": sorted(order_ids)})
        return {row[0]: _order(row) for row in rows}

    def order_ids_after(self, after: str, limit: int) -> list[str]:
        """Return the next ids in the database's own order; "" is before the first."""
        return [row[0] for row in self._connection.execute(_NEXT_IDS, {"after": after, "limit": limit})]

    def digests(self) -> Iterator[tuple[str, str]]:
        """Yield every order's id and the digest of what must be the same however often it is folded, by id."""
        return ((order_id, digest) for order_id, digest in self._stream(_DIGESTS))

    def owners(self) -> Iterator[tuple[str, str]]:
        """Yield every PSP id and its order, by PSP id."""
        return ((psp_id, order_id) for psp_id, order_id in self._stream(_OWNERS))

    def crossed(self) -> int:
        """Return how many events wait although their order is known: the next sweep folds them."""
        return int(self._connection.execute(_CROSSED).scalar_one())

    def _stream(self, statement: TextClause) -> Iterator[Sequence[Any]]:
        options = {"stream_results": True, "yield_per": _PAGE_ROWS}
        yield from self._connection.execute(statement, execution_options=options)


@contextmanager
def snapshot(database: Database) -> Iterator[OrderScan]:
    """Open a snapshot: everything read in it was true at one moment. Raises StoreUnavailable."""
    with database.transaction() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        yield OrderScan(connection)


def _order(row: Sequence[Any]) -> ScannedOrder:
    order_id, facts, version, updated_at_ms, movements, invoices, *columns = row
    named = dict(zip(ORDER_COLUMNS, columns, strict=True))
    return ScannedOrder(
        order_id,
        orjson.loads(facts),
        named,
        version,
        updated_at_ms,
        movements=tuple(Movement(**each) for each in orjson.loads(movements or "[]")),
        invoices=tuple(Invoice(**each) for each in orjson.loads(invoices or "[]")),
    )
