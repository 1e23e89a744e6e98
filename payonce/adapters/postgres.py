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
#: serialisation, deadlock, lock and statement timeouts, shutdowns, read only after a failover, its disk fails
_TRY_AGAIN = {"40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "25006", "58030"}
#: The server lacks something for now: connections, memory, room on its disk.
_SHORT_OF = "53"
#: Impossible values, broken constraints, and what is larger than the server can index or store.
_BAD_DATA_CLASSES = ("22", "23", "54")


class Database:
    """A pool of connections. Thread-safe; nothing is opened before the first use. `schema`: the only one it sees."""

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        pool_size: int = 2,
        statement_timeout_ms: int = _STATEMENT_MS,
        schema: str | None = None,
    ) -> None:
        search_path = f" -c search_path={schema}" if schema else ""
        self._engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_CONNECT_SECONDS,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "application_name": application_name,
                "options": f"-c statement_timeout={statement_timeout_ms} -c lock_timeout={_LOCK_MS} -c timezone=UTC"
                + search_path,
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                "tcp_user_timeout": 10_000,
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
