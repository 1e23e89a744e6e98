"""A lock of PostgreSQL that lives as long as the session that took it: one process of a kind does a thing at a time.

It never waits, and never says that it is held without having asked the database that moment.
"""

from __future__ import annotations

from sqlalchemy import Connection

from payonce.adapters.advisory_locks import Lock, hold_for_session
from payonce.adapters.postgres import Database, DatabaseThread


class SessionLock:
    """One lock. Needs a Database of its own with one connection: the lock is that session's."""

    def __init__(self, database: Database, lock: Lock) -> None:
        self._database = database
        self._thread = DatabaseThread(database)
        self._lock = lock

    async def acquire(self) -> bool:
        """Return whether the lock is ours, after trying to take it if it is not. Raises StoreUnavailable."""
        return await self._thread.run(self._is_held)

    def close(self) -> None:
        """Give the lock back by closing the connection. Blocking."""
        self._thread.close()
        self._database.dispose()

    def _is_held(self, connection: Connection) -> bool:
        return hold_for_session(connection, self._lock)
