"""What is handed over must follow what was, and come: else the process ends before a position moves over it."""

from __future__ import annotations

import pytest

from payonce import telemetry
from payonce.ports import TopicPartition
from services.status_processor.succession import LOOKS, MOST_LOOKS_AT_SHORTER, Hole, RecordsPassedOver
from tests.services.status_processor_records import COMMANDS
from tests.services.status_processor_shells import Shell

BEHIND = TopicPartition(COMMANDS, 99)


async def test_a_record_that_was_passed_over_ends_the_process_before_anything_is_folded() -> None:
    shell = Shell()
    _, *later = shell.delivered_from_the_beginning(3)

    with pytest.raises(RecordsPassedOver):
        await shell.batches.handle(later)

    assert (shell.asked, shell.bench.rows()) == ([Hole(later[0].record.topic_partition, 0, 1)], {})


async def test_a_record_that_was_passed_over_in_the_middle_is_noticed_too() -> None:
    shell = Shell()
    first, second, _, fourth = shell.delivered_from_the_beginning(4)
    assert await shell.batches.handle([first]) == [True]

    with pytest.raises(RecordsPassedOver):
        await shell.batches.handle([second, fourth])

    assert shell.asked == [Hole(first.record.topic_partition, 2, 3)]


async def test_a_batch_that_was_let_go_must_come_again() -> None:
    """Whatever made us think that a rebalance was under way: without one, its records would be lost."""
    shell = Shell()
    first, second = shell.delivered_from_the_beginning(2)
    shell.group.is_leaving = True
    assert await shell.batches.handle([first]) == [False]
    shell.group.is_leaving = False

    with pytest.raises(RecordsPassedOver):
        await shell.batches.handle([second])


async def test_records_that_come_again_are_no_hole() -> None:
    shell = Shell()
    batch = shell.delivered_from_the_beginning(3)

    assert await shell.batches.handle(batch) == [True] * 3
    assert await shell.batches.handle(batch[1:]) == [True] * 2
    shell.batches.begin({batch[0].record.topic_partition: 0})
    assert await shell.batches.handle(batch[:2]) == [True] * 2
    assert await shell.batches.handle(batch[2:]) == [True]
    assert shell.asked == []


async def test_offsets_at_which_the_log_has_nothing_are_passed_and_counted() -> None:
    shell = Shell(log_is_whole=False)
    _, _, third = shell.delivered_from_the_beginning(3)
    before = missing_offsets()

    assert await shell.batches.handle([third]) == [True]
    assert missing_offsets() - before == 2
    assert len(shell.bench.rows()) == 1


async def test_a_partition_whose_next_record_never_comes_ends_the_process() -> None:
    """The last record of a partition has none behind it by which one could tell that it was passed over."""
    shell = Shell()
    [first, _] = batch = shell.delivered_from_the_beginning(2)
    ends = {first.record.topic_partition: 2}
    await shell.batches.handle([first])
    await shell.look(ends, LOOKS - 1)
    assert shell.asked == []

    with pytest.raises(RecordsPassedOver):
        await shell.batches.look(ends)

    assert await shell.batches.handle(batch) == [True, True]


async def test_partitions_that_move_on_are_no_reason_to_end() -> None:
    shell = Shell()
    for batch in ([each] for each in shell.delivered_from_the_beginning(4)):
        await shell.look({batch[0].record.topic_partition: 4}, LOOKS - 1)
        await shell.batches.handle(batch)
    await shell.look({batch[0].record.topic_partition: 4}, 3 * LOOKS)

    assert shell.asked == []


async def test_a_record_behind_a_backlog_of_another_partition_waits_for_its_turn() -> None:
    """Faust's buffer holds thousands of records; only once as many as there were are handled, it should have come."""
    shell = Shell()
    backlog = shell.delivered_from_the_beginning(100)
    ends = {backlog[0].record.topic_partition: 100, BEHIND: 1}
    shell.batches.begin({backlog[0].record.topic_partition: 0, BEHIND: 0})
    for batch in ([each] for each in backlog):
        await shell.batches.look(ends)
        await shell.batches.handle(batch)
    assert shell.asked == []

    ends[BEHIND], beyond = 2, shell.delivered(1)
    await shell.batches.handle(beyond)
    with pytest.raises(RecordsPassedOver):
        await shell.batches.look(ends)
    assert shell.asked == [Hole(BEHIND, 0, 2)]


@pytest.mark.parametrize("reason", ["rebalance", "assignment", "outage", "leaderless"])
async def test_who_has_a_reason_to_wait_is_looked_at_anew(reason: str) -> None:
    shell = Shell()
    [first] = shell.delivered_from_the_beginning(1)
    place = first.record.topic_partition
    await shell.look({place: 1}, LOOKS - 1)
    if reason == "rebalance":
        shell.group.is_leaving = True
        await shell.batches.look({place: 1})
        shell.group.is_leaving = False
    elif reason == "assignment":
        shell.batches.begin({place: 0})
    elif reason == "outage":
        shell.batches.is_held_up = True
        await shell.batches.look({place: 1})
        shell.batches.is_held_up = False
    else:
        await shell.batches.look({})
    await shell.look({place: 1}, LOOKS - 1)
    assert shell.asked == []

    with pytest.raises(RecordsPassedOver):
        await shell.batches.look({place: 1})


@pytest.mark.parametrize("question", ["batch", "look"])
async def test_a_rebalance_that_begins_while_the_log_is_asked_brings_everything_again(question: str) -> None:
    shell = Shell()
    shell.on_asked = lambda: setattr(shell.group, "is_leaving", True)
    first, second = shell.delivered_from_the_beginning(2)

    if question == "batch":
        assert await shell.batches.handle([second]) == [False]
    else:
        await shell.look({first.record.topic_partition: 2}, LOOKS)

    assert len(shell.asked) == 1
    assert shell.bench.rows() == {}


async def test_an_assignment_that_begins_while_the_log_is_asked_begins_anew() -> None:
    shell = Shell()
    [first] = shell.delivered_from_the_beginning(1)
    place = first.record.topic_partition
    shell.on_asked = lambda: shell.batches.begin({place: 0})

    await shell.look({place: 1}, LOOKS)

    assert len(shell.asked) == 1


async def test_a_log_that_has_lost_its_end_ends_the_process() -> None:
    """A broker came back without what it had acknowledged: new records lie where old ones were handed over."""
    shell = Shell()
    batch = shell.delivered_from_the_beginning(3)
    place = batch[0].record.topic_partition
    await shell.batches.handle(batch)
    await shell.look({place: 2}, MOST_LOOKS_AT_SHORTER + 1)  # the first was asked before the batch was handled

    with pytest.raises(RecordsPassedOver):
        await shell.look({place: 2}, 1)


async def test_a_new_leader_that_tells_less_for_a_while_is_no_reason_to_end() -> None:
    """Seen under chaos: until its followers have caught up, it does not know how far its predecessor was read."""
    shell = Shell()
    batch = shell.delivered_from_the_beginning(3)
    place = batch[0].record.topic_partition
    await shell.batches.handle(batch)

    for end in (2, 3, 2):
        await shell.look({place: end}, MOST_LOOKS_AT_SHORTER)

    assert shell.asked == []


async def test_a_rebalance_that_never_ends_ends_the_process() -> None:
    """Else a member whose flow was never resumed would hold its partitions for ever, and read none of them."""
    shell = Shell()
    shell.group.is_leaving = True
    await shell.look({}, 24)

    with pytest.raises(RecordsPassedOver):
        await shell.batches.look({})


async def test_rebalances_that_end_are_no_reason_to_end() -> None:
    shell = Shell()
    for _ in range(5):
        shell.group.is_leaving = True
        await shell.look({}, 24)
        shell.group.is_leaving = False
        await shell.batches.look({})


async def test_a_marker_at_the_end_of_the_log_is_asked_about_once() -> None:
    shell = Shell(log_is_whole=False)
    [first, second] = shell.delivered_from_the_beginning(2)
    place = first.record.topic_partition
    await shell.look({place: 1}, 5 * LOOKS)

    assert shell.asked == [Hole(place, 0, 1)]
    assert await shell.batches.handle([second]) == [True]


def missing_offsets() -> float:
    return float(telemetry.fold_missing_offsets_total.labels(COMMANDS)._value.get())
