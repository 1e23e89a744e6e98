"""Whole orders, lists of them, and their timelines, for those who answer clients. Read only, every query by an index.

It has a connection of its own, so that a long list never delays whoever waits for a payment page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, text

from payonce.adapters.asked_refunds import asked_refunds
from payonce.adapters.order_reads import ROW, order_row
from payonce.adapters.shared_reads import SharedReads
from payonce.domain.whole_order import OrderFilter, TimelineLine, WholeOrder

_BATCH_LIMIT = 100

_WHOLE = f"SELECT {ROW}, CAST(facts AS text) AS whole_facts FROM payment_order"  # noqa: S608  (constants)
_SELECT = text(f"{_WHOLE} WHERE order_id = ANY(:order_ids)")
#: The columns, not the whole seconds that the result calls the same.
_NEWEST_FIRST = "ORDER BY payment_order.created_at DESC, payment_order.order_id DESC"
_ORDER_CURSOR = text("SELECT created_at FROM payment_order WHERE order_id = :after AND client_id = :client_id")
#: A condition per filter that was given.
_CONDITIONS = {
    "order_id": "order_id = :order_id",
    "status": "payment_order_status = :status",
    "created_from": "created_at >= to_timestamp(:created_from)",
    "created_until": "created_at < to_timestamp(:created_until)",
    "cursor": "(created_at, order_id) < (:cursor, :after)",
}
_EVENT_CURSOR = text("SELECT min(occurred_at) FROM payment_event WHERE event_id = :after AND order_id = :order_id")
#: A command that was given twice, and an event that an older worker said twice, have a line for each time. An event is
#: shown once, where it came first: a page goes on after an event, and could not tell its lines apart.
_EVENTS = """
    SELECT event_id, event_type, effect, reason,
           CAST(floor(extract(epoch FROM occurred_at)) AS bigint) AS occurred_at,
           CAST(floor(extract(epoch FROM recorded_at)) AS bigint) AS recorded_at
    FROM payment_event AS line
    WHERE order_id = :order_id {after} AND NOT EXISTS (
        SELECT FROM payment_event AS first
        WHERE first.event_id = line.event_id AND first.occurred_at < line.occurred_at
          AND first.order_id = line.order_id)
    ORDER BY line.occurred_at, line.event_id LIMIT :limit
"""
_FIRST_EVENTS = text(_EVENTS.format(after=""))
_NEXT_EVENTS = text(_EVENTS.format(after="AND (occurred_at, event_id) > (:cursor, :after)"))


class OrderArchive(SharedReads[WholeOrder]):
    """Reads whole orders. Belongs to one loop."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url, _select, application_name="checkout_api archive", batch_limit=_BATCH_LIMIT)

    async def page(
        self, client_id: str, wanted: OrderFilter, *, after: str | None, limit: int
    ) -> Sequence[WholeOrder] | None:
        """Return a client's orders, newest first, those `after` an order of that client if one is named.

        None: there is no such order to go on from. Raises StoreUnavailable within 2 s.
        """
        return await self._run(lambda connection: _page(connection, client_id, wanted, after, limit))

    async def timeline(self, order_id: str, *, after: str | None, limit: int) -> Sequence[TimelineLine] | None:
        """Return what touched an order, oldest first, what came `after` an event of that order if one is named.

        None: there is no such event to go on from. Raises StoreUnavailable within 2 s.
        """
        return await self._run(lambda connection: _timeline(connection, order_id, after, limit))


def _select(connection: Connection, order_ids: Sequence[str]) -> Mapping[str, WholeOrder]:
    rows = connection.execute(_SELECT, {"order_ids": list(order_ids)}).mappings()
    return {order.row.order_id: order for order in _whole(connection, [dict(row) for row in rows])}


def _page(
    connection: Connection, client_id: str, wanted: OrderFilter, after: str | None, limit: int
) -> Sequence[WholeOrder] | None:
    given: dict[str, Any] = {
        "order_id": wanted.order_id,
        "status": wanted.status,
        "created_from": wanted.created_from,
        "created_until": wanted.created_until,
    }
    if after is not None:
        given["cursor"] = connection.execute(_ORDER_CURSOR, {"after": after, "client_id": client_id}).scalar()
        if given["cursor"] is None:
            return None
    given = {name: value for name, value in given.items() if value is not None}
    conditions = " AND ".join(["client_id = :client_id", *(_CONDITIONS[name] for name in given)])
    statement = text(f"{_WHOLE} WHERE {conditions} {_NEWEST_FIRST} LIMIT :limit")
    parameters = {**given, "client_id": client_id, "after": after, "limit": limit}
    return _whole(connection, [dict(row) for row in connection.execute(statement, parameters).mappings()])


def _whole(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[WholeOrder]:
    asked = asked_refunds(connection, [row["order_id"] for row in rows])
    return [
        WholeOrder(facts=orjson.loads(row.pop("whole_facts")), row=order_row(row), asked=asked.get(row["order_id"], ()))
        for row in rows
    ]


def _timeline(connection: Connection, order_id: str, after: str | None, limit: int) -> Sequence[TimelineLine] | None:
    parameters: dict[str, Any] = {"order_id": order_id, "limit": limit}
    statement = _FIRST_EVENTS
    if after is not None:
        cursor = connection.execute(_EVENT_CURSOR, {"after": after, "order_id": order_id}).scalar()
        if cursor is None:
            return None
        statement = _NEXT_EVENTS
        parameters |= {"cursor": cursor, "after": after}
    return [TimelineLine(**row) for row in connection.execute(statement, parameters).mappings()]
