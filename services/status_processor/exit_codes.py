"""How the process ends, as a number that its supervisor and its logs share."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from payonce.adapters.kafka.producer import ProducerEnded
from payonce.adapters.kafka.reader import LogAway
from payonce.ports import PositionMoved
from services.status_processor.succession import RecordsPassedOver


class ExitCode(IntEnum):
    """All but CLEAN want a restart; two in a row of the same kind want a person."""

    CLEAN = 0
    KAFKA_LOST = 65  # our producer is given up: the log has forgotten what it had taken
    TOPICS_MISSING = 69  # create them: payonce topics create
    BUG = 70  # an error that we have no name for, or tables that are missing
    GROUP_LOST = 71  # alive but no member of the consumer group for too long
    POSITION_MOVED = 72  # a second writer, or a restored database: the restart reads on from fold_position
    RECORDS_PASSED_OVER = 73  # the consumer did not hand over what is in the log: the restart reads it again
    KAFKA_AWAY = 75  # no broker answered at the start, or when the log itself had to be asked


def exit_code_of(reason: BaseException | None) -> ExitCode:
    """Return how to end for this reason; None is an end that was asked for."""
    if reason is None:
        return ExitCode.CLEAN
    return next((code for kind, code in _CODES.items() if isinstance(reason, kind)), ExitCode.BUG)


_CODES: Final[Mapping[type[BaseException], ExitCode]] = {
    ProducerEnded: ExitCode.KAFKA_LOST,
    LogAway: ExitCode.KAFKA_AWAY,
    PositionMoved: ExitCode.POSITION_MOVED,
    RecordsPassedOver: ExitCode.RECORDS_PASSED_OVER,
}
