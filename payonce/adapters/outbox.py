"""The outbox in PostgreSQL, behind ports.Outbox: one relay at a time, by a lock that lives with its connection.

It never publishes. A lost connection is a lost lock: whoever holds this object then starts again at the lowest id.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from payonce.adapters.postgres import Database, DatabaseThread
from payonce.ports import OutboxRow, StoreUnavailable

#: Any constant: whoever holds it on a session is the one relay.
RELAY_LOCK = 7_201_987

# The lock is asked for where it is kept: a new connection of the pool, or another process with our old backend's
# number, would not hold it.
_HELD = text("""
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND classid = 0 AND objid = :key AND objsubid = 1 AND pid = pg_backend_pid() AND granted)
""")
_TRY = text("SELECT pg_try_advisory_lock(:key)")
_OLDEST = text("SELECT id, order_id, body FROM outbox ORDER BY id LIMIT :limit")
_DELETE = text("DELETE FROM outbox WHERE id = ANY(:ids)")


class PostgresOutbox:
    """Implements ports.Outbox. Needs a Database of its own with one connection: the lock is that session's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = DatabaseThread(database)

    async def acquire(self) -> bool:
        return await self._thread.run(lambda connection: _holds(connection) or _tries(connection))

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


def _holds(connection: Connection) -> bool:
    return bool(connection.execute(_HELD, {"key": RELAY_LOCK}).scalar_one())


def _tries(connection: Connection) -> bool:
    return bool(connection.execute(_TRY, {"key": RELAY_LOCK}).scalar_one())


def _require_lock(connection: Connection) -> None:
    if not _holds(connection):
        raise StoreUnavailable("the relay's lock went with its connection")
