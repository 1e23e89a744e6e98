"""The outbox in PostgreSQL, behind ports.Outbox: one relay at a time, by a lock that lives with its connection.

It never publishes. A lost connection is a lost lock: whoever holds this object then starts again at the lowest id.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from payonce.adapters.advisory_locks import Lock, hold_for_session, is_held
from payonce.adapters.postgres import Database, DatabaseThread
from payonce.ports import OutboxRow, StoreUnavailable

_OLDEST = text("SELECT id, order_id, body FROM outbox ORDER BY id LIMIT :limit")
_DELETE = text("DELETE FROM outbox WHERE id = ANY(:ids)")


class PostgresOutbox:
    """Implements ports.Outbox. Needs a Database of its own with one connection: the lock is that session's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = DatabaseThread(database)

    async def acquire(self) -> bool:
        return await self._thread.run(lambda connection: hold_for_session(connection, Lock.RELAY))

    async def oldest(self, limit: int) -> Sequence[OutboxRow]:
        def read(connection: Connection) -> list[OutboxRow]:
            _require_lock(connection)
            rows = connection.execute(_OLDEST, {"limit": limit})
            return [OutboxRow(row_id, order_id, bytes(body)) for row_id, order_id, body in rows]

        return await self._thread.run(read)

    async def delete(self, ids: Sequence[int]) -> None:
        def remove(connection: Connection) -> None:
            _require_lock(connection)
            connection.execute(_DELETE, {"ids": sorted(ids)})

        await self._thread.run(remove)

    def close(self) -> None:
        """Wait for the running statement, then give the lock back by closing the connection."""
        self._thread.close()
        self._database.dispose()


def _require_lock(connection: Connection) -> None:
    if not is_held(connection, Lock.RELAY):
        raise StoreUnavailable("the relay's lock went with its connection")
