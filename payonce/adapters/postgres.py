"""PostgreSQL through SQLAlchemy and psycopg2: transactions with bounded waits, driver errors in our own words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from payonce.ports import StoreRejected, StoreUnavailable

T = TypeVar("T")

#: Every wait is bounded, so that the one thread that runs SQL always comes back.
_CONNECT_SECONDS = 3
_STATEMENT_MS = 5_000
_LOCK_MS = 3_000
#: So long a transaction may say nothing before the server ends it and gives its locks back: a frozen process, a paused
#: machine. The longest silence with a reason is the fold's, while a dead letter waits 60 s for its delivery report.
IDLE_IN_TRANSACTION_MS = 90_000
#: How both ends find out that the other's host is gone. The server, told nothing, asks for the first time after two
#: hours, and until then a lost host keeps its locks. Over a Unix socket these mean nothing, and are passed over.
KEEPALIVES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
USER_TIMEOUT_MS = 10_000
#: serialisation, deadlock, lock and statement timeouts, too long a silence (in a transaction, without one), shutdowns,
#: read only after a failover, its disk fails
_TRY_AGAIN = {
    *("40001", "40P01", "55P03", "57014", "25P03", "57P05"),
    *("57P01", "57P02", "57P03", "25006", "58030"),
}
#: The server lacks something for now: connections, memory, room on its disk.
_SHORT_OF = "53"
#: Impossible values, broken constraints, and what is larger than the server can index or store.
_BAD_DATA_CLASSES = ("22", "23", "54")


class Database:
    """A pool of connections. Thread-safe; nothing is opened before the first use. `schema`: the only one it sees.

    `idle_in_transaction_ms` and `idle_session_ms` are how long a session may say nothing within a transaction and
    between two, before the server ends it (0: for ever); a session that holds a lock should not be given for ever.
    """

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        pool_size: int = 2,
        statement_timeout_ms: int = _STATEMENT_MS,
        idle_in_transaction_ms: int = IDLE_IN_TRANSACTION_MS,
        idle_session_ms: int = 0,
        schema: str | None = None,
    ) -> None:
        options = {
            **tcp_settings(),
            "statement_timeout": statement_timeout_ms,
            "lock_timeout": _LOCK_MS,
            "idle_in_transaction_session_timeout": idle_in_transaction_ms,
            "idle_session_timeout": idle_session_ms,
            "timezone": "UTC",
            **({"search_path": schema} if schema else {}),
        }
        self._engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_CONNECT_SECONDS,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "application_name": application_name,
                "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
                **KEEPALIVES,
                "tcp_user_timeout": USER_TIMEOUT_MS,
            },
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit on a clean exit, roll back otherwise. Blocking. Raises StoreUnavailable or StoreRejected."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise translated(error) from error
        except PoolTimeout as error:
            raise StoreUnavailable(str(error)) from error

    def dispose(self) -> None:
        """Close the idle connections."""
        self._engine.dispose()


class DatabaseThread:
    """One thread that runs transactions one after the other, so that the loop never waits for SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction of its own. Raises StoreUnavailable or StoreRejected."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._in_transaction, work)

    def close(self) -> None:
        """Wait for the running transaction, then stop."""
        self._executor.shutdown(wait=True)

    def _in_transaction(self, work: Callable[[Connection], T]) -> T:
        with self._database.transaction() as connection:
            return work(connection)


def tcp_settings() -> dict[str, int]:
    """Return the settings of a session by which the server finds out soon that our host is gone."""
    return {**{f"tcp_{name}": value for name, value in KEEPALIVES.items()}, "tcp_user_timeout": USER_TIMEOUT_MS}


def translated(error: DBAPIError) -> Exception:
    """Return our word for a driver error: away or try again, bad data, or the error itself, which is a bug."""
    state = getattr(error.orig, "pgcode", None)
    if error.connection_invalidated or state in _TRY_AGAIN or (state or "").startswith(_SHORT_OF):
        return StoreUnavailable(f"{state or 'connection lost'}: {error.orig}")
    if state is not None and state.startswith(_BAD_DATA_CLASSES):
        return StoreRejected(f"{state}: {error.orig}")
    if state is None and isinstance(error, OperationalError | InterfaceError):
        return StoreUnavailable(str(error.orig))
    return error
