"""The parts around the fold that decide what is acknowledged and when a process ends, without Faust and Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from mode import Service

from payonce import telemetry
from payonce.adapters.kafka.producer import ProducerEnded
from payonce.adapters.kafka.reader import LogAway
from payonce.ports import PositionMoved, Record, StoreUnavailable, TopicPartition
from services.status_processor.batches import Batches, Delivered
from services.status_processor.chores import every, run_once
from services.status_processor.delivery import EagerConsumer
from services.status_processor.exit_codes import ExitCode, exit_code_of
from services.status_processor.succession import LOOKS, MOST_LOOKS_AT_SHORTER, Hole, RecordsPassedOver
from services.status_processor.watchdog import LIMIT_SECONDS, Watchdog
from tests.fakes.clock import LoopClock, simulated
from tests.services.status_processor_bench import FoldOnFakes
from tests.services.status_processor_records import COMMANDS, Life


@dataclass(slots=True)
class Group:
    """A Membership that the test moves."""

    generation: int = 1
    is_leaving: bool = False


@dataclass(slots=True)
class Shell:
    """Batches over a fold on fakes."""

    bench: FoldOnFakes = field(default_factory=FoldOnFakes)
    group: Group = field(default_factory=Group)
    batches: Batches = field(init=False)
    log_is_whole: bool = True
    asked: list[Hole] = field(default_factory=list)
    on_asked: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.batches = Batches(self.bench.fold, LoopClock(), self.group, self._holds_records)

    async def _holds_records(self, hole: Hole) -> bool:
        self.asked.append(hole)
        self.on_asked()
        return self.log_is_whole

    def delivered(self, *generations: int) -> list[Delivered]:
        """Return one registration per generation, in one partition."""
        records: list[Record] = self.bench.log.append([Life(1).register() for _ in generations])
        return [Delivered(record, generation) for record, generation in zip(records, generations, strict=True)]

    def delivered_from_the_beginning(self, number: int) -> list[Delivered]:
        """Return that many registrations of a partition that is handed over from offset 0 on."""
        batch = self.delivered(*[1] * number)
        self.batches.begin({batch[0].record.topic_partition: 0})
        return batch

    async def look(self, ends: Mapping[TopicPartition, int], times: int) -> None:
        """Do that chore so many times."""
        for _ in range(times):
            await self.batches.look(ends)

    def database_is_away(self) -> None:
        """Make every call of the store fail."""

        def away(call: str) -> None:
            raise StoreUnavailable(call)

        self.bench.store.fault = away


async def test_a_folded_batch_is_acknowledged_whole() -> None:
    shell = Shell()

    assert await shell.batches.handle(shell.delivered(1, 1)) == [True, True]


async def test_messages_of_an_older_generation_are_neither_folded_nor_acknowledged() -> None:
    shell = Shell()
    batch = shell.delivered(0, 1)

    assert await shell.batches.handle(batch) == [False, True]
    assert len(shell.bench.store.tables.timeline) == 1


async def test_nothing_is_begun_during_a_rebalance() -> None:
    shell = Shell()
    shell.group.is_leaving = True

    assert await shell.batches.handle(shell.delivered(1)) == [False]
    assert shell.bench.rows() == {}


async def test_a_batch_whose_generation_ended_while_it_was_folded_is_not_acknowledged() -> None:
    shell = Shell()

    def rebalance(call: str) -> None:
        if call == "commit":
            shell.group.generation = 2

    shell.bench.store.fault = rebalance
    assert await shell.batches.handle(shell.delivered(1)) == [False]


def test_an_outage_is_waited_out() -> None:
    async def scenario() -> None:
        shell = Shell()
        shell.database_is_away()
        handling = asyncio.create_task(shell.batches.handle(shell.delivered(1)))
        await asyncio.sleep(60)
        assert not handling.done()
        assert shell.batches.is_held_up
        shell.bench.store.fault = lambda _: None
        assert await handling == [True]
        assert not shell.batches.is_held_up

    simulated(scenario())


def test_a_rebalance_during_an_outage_is_not_kept_waiting() -> None:
    """It lets go within a slice of 50 ms, though it was pausing for two seconds."""

    async def scenario() -> float:
        shell = Shell()
        shell.database_is_away()
        handling = asyncio.create_task(shell.batches.handle(shell.delivered(1)))
        await asyncio.sleep(60)
        shell.group.is_leaving = True
        began = asyncio.get_running_loop().time()
        assert await handling == [False]
        assert await shell.batches.wait_until_idle(0.0)
        return asyncio.get_running_loop().time() - began

    assert simulated(scenario()) <= 0.051


async def test_a_moved_position_leaves_the_handler() -> None:
    shell = Shell()
    await shell.batches.handle(shell.delivered(1))
    shell.bench.store.tables.positions.clear()

    with pytest.raises(PositionMoved):
        await shell.batches.handle(shell.delivered(1))


# ------------------------------------------------------------------------------------------ what is handed over

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


# ------------------------------------------------------------------------------------------ watchdog


def watched(generation: Callable[[], int]) -> tuple[Watchdog, list[float], list[int]]:
    """Return a watchdog, its time in a list, and the exit codes that it ended with."""
    now, ended = [0.0], list[int]()
    return Watchdog(generation, end=ended.append, monotonic=lambda: now[0]), now, ended


def test_the_watchdog_spares_a_member_and_a_short_absence() -> None:
    generation = [3]
    dog, now, ended = watched(lambda: generation[0])

    for second in range(1_000):
        now[0] = float(second)
        generation[0] = 3 if second % 80 == 0 else -1
        dog.run_once()

    assert ended == []


@pytest.mark.parametrize("absent", [-1, None])
def test_the_watchdog_ends_a_process_that_is_no_member_any_more(absent: int | None) -> None:
    """An error counts as no generation: None stands for one."""

    def generation() -> int:
        if absent is None:
            raise AttributeError
        return absent

    dog, now, ended = watched(generation)
    now[0] = LIMIT_SECONDS
    dog.run_once()
    assert ended == []
    now[0] = LIMIT_SECONDS + 1
    dog.run_once()

    assert ended == [ExitCode.GROUP_LOST]


# ------------------------------------------------------------------------------------------ delivery


async def _deliver(into: list[str], before: asyncio.Event | None = None) -> str:
    if before is not None:
        await before.wait()
        await asyncio.sleep(0)
    into.append("delivered")
    return "done"


async def test_a_delivery_that_does_not_wait_takes_no_turn_of_the_loop() -> None:
    delivered: list[str] = []
    turns: list[str] = []
    asyncio.get_running_loop().call_soon(turns.append, "turn")

    outcome = await EagerConsumer.wait_first(_waiter(), _deliver(delivered), asyncio.Event().wait())

    assert (delivered, turns, outcome.stopped) == (["delivered"], [], False)


async def test_a_delivery_that_waits_goes_on_where_it_was() -> None:
    delivered: list[str] = []
    ready = asyncio.Event()
    waiting = asyncio.create_task(
        EagerConsumer.wait_first(_waiter(), _deliver(delivered, ready), asyncio.Event().wait())
    )
    await asyncio.sleep(0)
    assert not waiting.done()

    ready.set()
    outcome = await waiting

    assert delivered == ["delivered"]
    assert outcome.results == ["done"]


async def test_a_suspension_ends_the_wait_and_cancels_the_delivery() -> None:
    delivered: list[str] = []
    never, suspended = asyncio.Event(), asyncio.Event()
    waiting = asyncio.create_task(EagerConsumer.wait_first(_waiter(), _deliver(delivered, never), suspended.wait()))
    await asyncio.sleep(0)

    suspended.set()
    await waiting
    await asyncio.sleep(0)
    never.set()
    await asyncio.sleep(0)

    assert delivered == []


async def test_an_error_of_a_delivery_is_raised() -> None:
    async def failing() -> None:
        raise KeyError("no such partition")

    with pytest.raises(KeyError):
        await EagerConsumer.wait_first(_waiter(), failing(), asyncio.Event().wait())


def _waiter() -> Any:
    """Return a consumer that has been made and not started."""
    consumer = EagerConsumer.__new__(EagerConsumer)
    Service.__init__(consumer)
    return consumer


# ------------------------------------------------------------------------------------------ chores, exits


def test_a_chore_is_done_again_sooner_while_the_database_is_away() -> None:
    async def scenario() -> list[float]:
        loop, times = asyncio.get_running_loop(), list[float]()

        async def chore() -> None:
            times.append(loop.time())
            if len(times) == 1:
                raise StoreUnavailable("away")

        task = asyncio.create_task(every(30.0, chore, LoopClock()))
        await asyncio.sleep(40)
        task.cancel()
        return times

    assert simulated(scenario()) == [0.0, 5.0, 35.0]


async def test_a_bug_in_a_chore_is_not_swallowed() -> None:
    async def chore() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_once(chore)


def test_each_end_has_its_exit_code() -> None:
    reasons = {
        None: ExitCode.CLEAN,
        ProducerEnded(): ExitCode.KAFKA_LOST,
        LogAway(): ExitCode.KAFKA_AWAY,
        PositionMoved(): ExitCode.POSITION_MOVED,
        RecordsPassedOver(): ExitCode.RECORDS_PASSED_OVER,
        ZeroDivisionError(): ExitCode.BUG,
    }

    assert {reason: exit_code_of(reason) for reason in reasons} == reasons
