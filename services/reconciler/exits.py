"""How the process ends: one code per reason, so that a supervisor's log says what happened."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the process; DRIFT is the report's."""

    CLEAN = 0
    DRIFT = 1  # report: PostgreSQL and the PSP differ
    UNAVAILABLE = 3  # report: PostgreSQL, Kafka or the PSP did not answer, so nothing is proven
    MISCONFIGURED = 64  # a topic or a setting is missing: a person must act
    KAFKA_LOST = 65  # our producer is given up: the log has forgotten what it had taken
    BUG = 70  # an exception nobody named
    KAFKA_AWAY = 75  # no broker answered at the start
