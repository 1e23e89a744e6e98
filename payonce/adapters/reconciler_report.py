"""What the drift report reads in PostgreSQL, behind ports.ReconcilerReport. It writes nothing and needs no lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
from sqlalchemy import Connection

from payonce.adapters import reconciler_statements as sql
from payonce.adapters.postgres import DatabaseThread
from payonce.ports import StuckOrder, TouchedOrder


class PostgresReconcilerReport:
    """Implements ports.ReconcilerReport."""

    def __init__(self, thread: DatabaseThread) -> None:
        self._thread = thread

    async def touched(self, *, since: int, after: str, limit: int) -> Sequence[TouchedOrder]:
        parameters = {"since": since, "after": after, "limit": limit}

        def read(connection: Connection) -> list[TouchedOrder]:
            return [
                TouchedOrder(
                    row.order_id,
                    row.payment_order_status,
                    row.amount_paid,
                    row.amount_refunded,
                    orjson.loads(row.facts),
                    tuple(sorted(set(row.session_ids))),
                )
                for row in connection.execute(sql.TOUCHED, parameters)
            ]

        return await self._thread.run(read)

    async def stuck(self, stuck_after: Mapping[str, int], *, limit: int) -> Sequence[StuckOrder]:
        parameters = {"statuses": list(stuck_after), "seconds": list(stuck_after.values()), "limit": limit}

        def read(connection: Connection) -> list[StuckOrder]:
            return [StuckOrder(*row) for row in connection.execute(sql.STUCK, parameters)]

        return await self._thread.run(read)
