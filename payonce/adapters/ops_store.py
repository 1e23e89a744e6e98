"""The tables of ops_console in PostgreSQL, behind ports.ops.OpsStore."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from payonce.adapters.advisory_locks import Lock
from payonce.adapters.ops_actions import ActionRows
from payonce.adapters.ops_letters import LetterRows
from payonce.adapters.ops_replays import ReplayRows
from payonce.adapters.postgres import Database, DatabaseThread
from payonce.adapters.session_lock import SessionLock
from payonce.ports.ops import OpsTransaction

T = TypeVar("T")
#: A console that is frozen gives the lead to the next one after so long. It asks for it before every round, and a round
#: is over in far less: losing the lead in between would only mean to ask for it once more.
_LEAD_IDLE_MS = 900_000


class _Rows(LetterRows, ReplayRows, ActionRows):
    """All of a transaction's rows, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection


class PostgresOpsStore:
    """Implements ports.ops.OpsStore with one thread for transactions and one connection for the lead."""

    def __init__(self, database_url: str, *, application_name: str = "ops_console") -> None:
        self._database = Database(database_url, application_name=application_name, pool_size=1)
        self._thread = DatabaseThread(self._database)
        lead = Database(
            database_url, application_name=f"{application_name} lead", pool_size=1, idle_session_ms=_LEAD_IDLE_MS
        )
        self._lock = SessionLock(lead, Lock.OPS_LEAD)

    async def run(self, work: Callable[[OpsTransaction], T]) -> T:
        return await self._thread.run(lambda connection: work(_Rows(connection)))

    async def lead(self) -> bool:
        return await self._lock.acquire()

    def close(self) -> None:
        """Wait for the running transaction, give up the lead, close the connections. Blocking."""
        self._thread.close()
        self._database.dispose()
        self._lock.close()
