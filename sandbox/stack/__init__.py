"""Real Apache Kafka and real PostgreSQL on free loopback ports, without Docker and without root.

For tests, the demo and benchmarks. Everything it starts dies with the process that started it, and nothing
it writes outlives `stop` but the cache. It is no way to run either server in production.
"""

from __future__ import annotations

from sandbox.stack.errors import (
    ChecksumMismatch,
    DiskFull,
    DownloadFailed,
    PortTaken,
    StackError,
    StartFailed,
)
from sandbox.stack.stack import Stack

__all__ = [
    "ChecksumMismatch",
    "DiskFull",
    "DownloadFailed",
    "PortTaken",
    "Stack",
    "StackError",
    "StartFailed",
]
