"""Reads of payment_order for those who answer clients. Read only, and never slower than the answer is worth.

Reads that come while a query runs are answered together by the next one, so that a crowd of waiting requests costs one
query, one thread and one connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from payonce.adapters.postgres import Database, DatabaseThread
from payonce.domain.order_row import OrderRow
from payonce.ports import StoreUnavailable

#: A reader would rather hear "away" than wait longer.
_STATEMENT_MS = 1_000
_ANSWER_SECONDS = 2.0
_BATCH_LIMIT = 500

_SELECT = text("""
    SELECT order_id, payment_order_status AS status, attempt, version,
           CAST(floor(extract(epoch FROM created_at)) AS bigint) AS created_at,
           CAST(floor(extract(epoch FROM updated_at)) AS bigint) AS updated_at,
           client_id, reference, body_hash, payment_type, payment_method, psp, amount, currency, redirect_url,
           psp_token, hosted_page_url, client_secret,
           CAST(floor(extract(epoch FROM page_expires_at)) AS bigint) AS page_expires_at,
           facts #>> ARRAY['terms', CAST(attempt AS text), body_hash, 'terms', 'description'] AS description,
           facts #>> ARRAY['terms', CAST(attempt AS text), body_hash, 'terms', 'customer_email'] AS customer_email,
           amount_paid, amount_refunded, amount_disputed, failure_reason, failure_detail, flags
    FROM payment_order
    WHERE order_id = ANY(:order_ids)
""")

_Answer = asyncio.Future[OrderRow | None]


class OrderReads:
    """Reads orders as they are committed. Belongs to one loop."""

    def __init__(self, database_url: str) -> None:
        self._database = Database(
            database_url, application_name="checkout_api reads", pool_size=1, statement_timeout_ms=_STATEMENT_MS
        )
        self._thread = DatabaseThread(self._database)
        self._asked: dict[str, _Answer] = {}
        self._reader: asyncio.Task[None] | None = None

    async def order(self, order_id: str) -> OrderRow | None:
        """Return the order as it is committed now, None if it is not folded yet. Raises StoreUnavailable within 2 s."""
        answer = self._asked.get(order_id)
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            answer.add_done_callback(_taken)
            self._asked[order_id] = answer
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_all())
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await asyncio.shield(answer)
        except TimeoutError as error:
            raise StoreUnavailable(f"no answer from PostgreSQL within {_ANSWER_SECONDS} s") from error

    async def close(self) -> None:
        """Wait for the running query, then close the connection."""
        if self._reader is not None:
            await self._reader
        await asyncio.to_thread(self._thread.close)
        self._database.dispose()

    async def _read_all(self) -> None:
        try:
            while self._asked:
                await self._read_once()
        finally:
            self._reader = None

    async def _read_once(self) -> None:
        """Answer what has been asked up to now; whoever asks meanwhile is answered by the next query."""
        batch = {order_id: self._asked.pop(order_id) for order_id in list(self._asked)[:_BATCH_LIMIT]}
        try:
            found = await self._thread.run(lambda connection: _select(connection, sorted(batch)))
        except Exception as error:  # noqa: BLE001  (handed to everyone who asked; bugs surface there)
            for answer in batch.values():
                answer.set_exception(error)
            return
        for order_id, answer in batch.items():
            answer.set_result(found.get(order_id))


def _select(connection: Connection, order_ids: Sequence[str]) -> Mapping[str, OrderRow]:
    rows = connection.execute(_SELECT, {"order_ids": list(order_ids)}).mappings()
    return {row["order_id"]: _row(dict(row)) for row in rows}


def _row(columns: dict[str, Any]) -> OrderRow:
    return OrderRow(**{**columns, "flags": tuple(columns["flags"])})


def _taken(answer: _Answer) -> None:
    """Mark a failure as seen: everyone who asked may have stopped waiting."""
    if not answer.cancelled():
        answer.exception()
