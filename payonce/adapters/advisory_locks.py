"""PostgreSQL's advisory locks as we use them: every key in one place, and how a session tells that it holds one.

Two names for one number would make two processes wait for each other for nothing.
"""

from __future__ import annotations

from enum import IntEnum, unique

from sqlalchemy import Connection, text

_TRY = text("SELECT pg_try_advisory_lock(:key)")
_TRY_IN_TRANSACTION = text("SELECT pg_try_advisory_xact_lock(:key)")
_WAIT_IN_TRANSACTION = text("SELECT pg_advisory_xact_lock(:key)")
# The lock is asked for where it is kept: a new connection of the pool, or another process with our old backend's
# number, would not hold it.
_HELD = text("""
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND classid = 0 AND objid = :key AND objsubid = 1 AND pid = pg_backend_pid() AND granted)
""")


@unique
class Lock(IntEnum):
    """Any constants; migrations/env.py has 7_201_984 for itself."""

    SWEEP = 7_201_985
    MONTHS = 7_201_986
    RELAY = 7_201_987
    RECONCILER = 7_201_988
    REBUILD = 7_201_989
    OPS_LEAD = 7_201_990
    AUDIT_CHAIN = 7_201_991


def is_held(connection: Connection, lock: Lock) -> bool:
    """Return whether this session holds the lock, as the database has it now."""
    return bool(connection.execute(_HELD, {"key": int(lock)}).scalar_one())


def try_for_session(connection: Connection, lock: Lock) -> bool:
    """Take the lock for as long as the session lives, unless another has it. Does not wait; counts if taken twice."""
    return bool(connection.execute(_TRY, {"key": int(lock)}).scalar_one())


def hold_for_session(connection: Connection, lock: Lock) -> bool:
    """Return whether the lock is this session's, after trying to take it if it is not."""
    return is_held(connection, lock) or try_for_session(connection, lock)


def try_for_transaction(connection: Connection, lock: Lock) -> bool:
    """Take the lock until the transaction ends, unless another has it. Does not wait."""
    return bool(connection.execute(_TRY_IN_TRANSACTION, {"key": int(lock)}).scalar_one())


def wait_for_transaction(connection: Connection, lock: Lock) -> None:
    """Take the lock until the transaction ends, once nobody else has it."""
    connection.execute(_WAIT_IN_TRANSACTION, {"key": int(lock)})
