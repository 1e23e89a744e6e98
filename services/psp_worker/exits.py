"""How the process ends: one code per reason, so that a supervisor's log says what happened."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. Everything but STOPPED and MISCONFIGURED is cured by a restart."""

    STOPPED = 0  # asked to stop
    BUG = 1  # an exception nobody named
    MISCONFIGURED = 64  # a topic or a setting is missing: a person must act
    KAFKA_LOST = 65  # thrown out of the group for good, or our producer is given up: the log forgot what it had taken
    POSITION_MOVED = 66  # another process advanced our partition, or the database was restored meanwhile
    LEDGER_CONTRADICTED = 67  # a ledger row vanished or changed under us: read again from a fresh start


class LedgerContradicted(Exception):
    """The ledger holds something else than what this process wrote: end, and start again from what is stored."""
