"""What every store of ours may answer instead of doing as told."""

from __future__ import annotations


class StoreUnavailable(Exception):
    """PostgreSQL is away or asks to try again (deadlock, timeout, ...): wait and repeat; nothing was written."""


class StoreRejected(Exception):
    """PostgreSQL refuses the data itself (SQLSTATE 22, 23): the same data will be refused again."""


class PositionMoved(Exception):
    """Another process has advanced this partition, or the database was restored meanwhile: this process must end."""
