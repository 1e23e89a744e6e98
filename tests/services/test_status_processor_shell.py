"""The parts around the fold that decide what is acknowledged and when a process ends, without Faust and Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from mode import Service

from payonce.adapters.kafka.producer import ProducerEnded
from payonce.adapters.kafka.reader import LogAway
from payonce.ports import PositionMoved, StoreUnavailable
from services.status_processor.chores import every, run_once
from services.status_processor.delivery import EagerConsumer
from services.status_processor.exit_codes import ExitCode, exit_code_of
from services.status_processor.succession import RecordsPassedOver
from services.status_processor.watchdog import LIMIT_SECONDS, Watchdog
from tests.fakes.clock import LoopClock, simulated
from tests.services.status_processor_shells import Shell


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
