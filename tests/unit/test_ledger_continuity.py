"""The numbers that a process's own row may hold: what is known of it after each way a transaction can end."""

from __future__ import annotations

import pytest

from payonce.adapters.ledger_continuity import Continuity
from payonce.ports import PositionMoved


def begun() -> Continuity:
    continuity = Continuity()
    continuity.begun("us")
    return continuity


def test_after_a_commit_only_the_new_number_is_ours() -> None:
    continuity = begun()
    continuity.moved(1)
    continuity.committed()

    assert continuity.possible == (1,)


def test_after_an_answer_that_was_lost_both_numbers_are_possible() -> None:
    continuity = begun()
    continuity.moved(1)

    assert continuity.possible == (0, 1)


@pytest.mark.parametrize("found", [0, 1])
def test_the_next_transaction_settles_a_doubt(found: int) -> None:
    continuity = begun()
    continuity.moved(1)
    continuity.moved(found + 1)
    continuity.committed()

    assert continuity.possible == (found + 1,)


def test_a_row_that_is_none_of_these_was_restored() -> None:
    with pytest.raises(PositionMoved):
        begun().moved(None)
