"""How the process ends: one code per reason, so that a supervisor's log says what happened."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. A restart cures everything but MISCONFIGURED."""

    STOPPED = 0  # asked to stop
    BUG = 1  # an exception nobody named
    MISCONFIGURED = 64  # a topic, a file or a setting is missing: a person must act
    KAFKA_LOST = 65  # thrown out of the group for good, or our producer is given up: the log forgot what it had taken
    RESTORED = 66  # PostgreSQL does not remember what this process indexed: the next one begins where it stands


class Misconfigured(Exception):
    """A setting, a file or a topic is missing; the message says which. A person must act."""
