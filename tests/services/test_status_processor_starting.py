"""Where the fold begins the partitions of an assignment."""

from __future__ import annotations

import pytest

from payonce.ports import TopicPartition
from services.status_processor.starting import starts
from services.status_processor.succession import Hole

PLACE = TopicPartition("a-topic", 3)


@pytest.mark.parametrize(
    ("committed", "behind", "log", "start"),
    [
        (5, None, (0, 9), 5),
        (None, None, (0, 9), 0),
        (5, 2, (0, 9), 2),  # a restored database
        (9, None, (0, 9), 9),
        (0, None, (0, 0), 0),
    ],
)
def test_it_begins_where_kafka_is_or_where_the_rows_are_behind(
    committed: int | None, behind: int | None, log: tuple[int, int], start: int
) -> None:
    found = starts({PLACE: committed}, {} if behind is None else {PLACE: behind}, {PLACE: log[0]}, {PLACE: log[1]})

    assert (found.offsets, found.expired, found.shortened) == ({PLACE: start}, (), ())


def test_what_has_expired_before_it_was_folded_is_named() -> None:
    found = starts({PLACE: 5}, {PLACE: 2}, {PLACE: 4}, {PLACE: 9})

    assert (found.offsets, found.expired) == ({PLACE: 4}, (Hole(PLACE, 2, 4),))


def test_a_new_reader_of_an_old_log_has_missed_nothing() -> None:
    found = starts({PLACE: None}, {}, {PLACE: 4}, {PLACE: 9})

    assert (found.offsets, found.expired) == ({PLACE: 4}, ())


def test_a_log_that_has_lost_its_end_is_read_from_its_beginning() -> None:
    found = starts({PLACE: 10}, {}, {PLACE: 4}, {PLACE: 9})

    assert (found.offsets, found.expired, found.shortened) == ({PLACE: 4}, (), (PLACE,))


def test_where_no_broker_tells_the_bounds_what_kafka_says_counts() -> None:
    assert starts({PLACE: 10}, {}, {}, {}).offsets == {PLACE: 10}
