"""How the process ends, as a number that its supervisor and its logs share."""

from __future__ import annotations

from enum import IntEnum

from payonce.adapters.kafka.producer import ProducerEnded
from payonce.ports import PositionMoved


class ExitCode(IntEnum):
    """All but CLEAN want a restart; two in a row of the same kind want a person."""

    CLEAN = 0
    KAFKA_LOST = 65  # our producer is given up: the log has forgotten what it had taken
    TOPICS_MISSING = 69  # create them: payonce topics create
    BUG = 70  # an error that we have no name for, or tables that are missing
    GROUP_LOST = 71  # alive but no member of the consumer group for too long
    POSITION_MOVED = 72  # a second writer, or a restored database: the restart reads on from fold_position
    KAFKA_AWAY = 75  # no broker answered at the start


def exit_code_of(reason: BaseException | None) -> ExitCode:
    """Return how to end for this reason; None is an end that was asked for."""
    if reason is None:
        return ExitCode.CLEAN
    if isinstance(reason, ProducerEnded):
        return ExitCode.KAFKA_LOST
    return ExitCode.POSITION_MOVED if isinstance(reason, PositionMoved) else ExitCode.BUG
