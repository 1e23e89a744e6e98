"""Positions held against the log, also after the topics have been replaced by a later generation."""

from __future__ import annotations

import pytest

from payonce.ports import TopicPartition
from payonce.verification import log_checks
from payonce.verification.log_checks import FOLDED, misplaced

COMMANDS = TopicPartition(FOLDED[0], 0)
BOUNDS = {COMMANDS: (10, 20)}
OLD = TopicPartition("payments.old", 0)


@pytest.mark.parametrize("offset", [10, 15, 20])
def test_a_position_within_the_log_is_right(offset: int) -> None:
    assert misplaced({COMMANDS: offset}, BOUNDS) == {}


@pytest.mark.parametrize("offset", [9, 21])
def test_a_position_outside_the_log_is_wrong(offset: int) -> None:
    assert misplaced({COMMANDS: offset}, BOUNDS) == {COMMANDS: f"{offset} is not within 10 to 20"}


def test_a_position_in_a_partition_that_is_gone_is_wrong() -> None:
    gone = TopicPartition(COMMANDS.topic, 99)

    assert misplaced({gone: 1}, BOUNDS) == {gone: "1 is not within 0 to 0"}


def test_positions_of_topics_that_ours_took_over_from_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay after the documented growth; nobody reads these topics any more."""
    monkeypatch.setattr(log_checks, "heir_of", {OLD.topic: COMMANDS.topic, COMMANDS.topic: COMMANDS.topic}.get)

    assert misplaced({OLD: 900, COMMANDS: 10}, BOUNDS) == {}


def test_positions_of_topics_that_none_of_ours_took_over_from_are_wrong() -> None:
    """Whoever grew the topics forgot to say so: what is read from the new ones would lose against the old."""
    found = misplaced({OLD: 900, COMMANDS: 10}, BOUNDS)

    assert found == {OLD: "is of no topic of ours, nor of one that ours took over from (`before` in topics.toml)"}
