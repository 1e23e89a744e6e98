"""The pace: never more than the limit in any one second, whoever holds the partitions."""

from __future__ import annotations

import asyncio
import bisect
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.psp_worker.pace import Pacer
from tests.fakes.clock import LoopClock, simulated

LIMIT, PARTITIONS = 25.0, 12


def pacer(*, polled: bool = True) -> Pacer:
    clock = LoopClock()
    return Pacer(
        clock,
        limit_per_second=LIMIT,
        partitions=PARTITIONS,
        last_poll_at=lambda: clock.monotonic() if polled else float("-inf"),
    )


async def calls_for_ever(worker: Pacer, times: list[float]) -> None:
    while True:
        async with worker.line:
            await worker.due()
            worker.left()
            times.append(asyncio.get_running_loop().time())


def busiest_second(times: list[float]) -> int:
    """Return the most calls in any half-open second; a hair less than a second, for floats."""
    ordered = sorted(times)
    return max((bisect.bisect_left(ordered, at + 1 - 1e-6) - i for i, at in enumerate(ordered)), default=0)


@settings(deadline=None, max_examples=40)
@given(
    owners=st.lists(st.lists(st.integers(0, 3), min_size=PARTITIONS, max_size=PARTITIONS), min_size=1, max_size=6),
    seed=st.integers(0, 2**32),
)
def test_all_workers_together_stay_under_the_limit_in_any_second(owners: list[list[int]], seed: int) -> None:
    """Partitions wander between four busy workers at random moments; the loser stops before the winner hears of it."""
    times: list[float] = []

    async def scenario() -> None:
        chance = random.Random(seed)  # noqa: S311  (a seed, not a secret)
        workers = [pacer() for _ in range(4)]
        held = [0] * 4
        tasks = [asyncio.ensure_future(calls_for_ever(worker, times)) for worker in workers for _ in range(3)]
        for assignment in owners:
            wanted = [assignment.count(number) for number in range(4)]
            for number, worker in enumerate(workers):
                if wanted[number] < held[number]:
                    worker.hold(wanted[number])
            for number, worker in enumerate(workers):
                if wanted[number] > held[number]:
                    worker.hold(wanted[number])
            held = wanted
            await asyncio.sleep(chance.uniform(0.1, 6))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    simulated(scenario())
    assert busiest_second(times) <= LIMIT


def calls_within(seconds: float, worker_of: list[Pacer], *, held: int = PARTITIONS, complaints: int = 0) -> list[float]:
    times: list[float] = []

    async def scenario() -> None:
        worker_of.append(pacer())
        worker_of[0].hold(held)
        task = asyncio.ensure_future(calls_for_ever(worker_of[0], times))
        await asyncio.sleep(10)
        for _ in range(complaints):
            worker_of[0].slow_down()
            await asyncio.sleep(1.0)
        await asyncio.sleep(seconds - 10)
        task.cancel()
        await asyncio.wait([task])

    simulated(scenario())
    return times


def test_calls_are_evenly_spaced_at_the_share() -> None:
    times = calls_within(12, [])
    gaps = {round(later - earlier, 6) for earlier, later in itertools.pairwise(times)}

    assert gaps == {0.05}
    assert len(times) >= 195


def test_a_gained_share_starts_after_two_seconds() -> None:
    assert calls_within(12, [], held=3)[0] == pytest.approx(2.0)


def test_without_partitions_nothing_leaves() -> None:
    assert calls_within(60, [], held=0) == []


def test_a_complaint_halves_the_pace_for_a_while() -> None:
    times = calls_within(60, [], complaints=1)
    before = [at for at in times if 8 <= at < 9]
    slowed = [at for at in times if 11 <= at < 19]
    later = [at for at in times if 40 <= at < 41]

    assert len(before) == 20
    assert len(slowed) <= 81
    assert len(later) >= 19


def test_complaints_about_calls_that_had_left_count_once() -> None:
    async def scenario() -> None:
        worker = pacer()
        worker.hold(PARTITIONS)
        await asyncio.sleep(3)
        for _ in range(100):
            worker.slow_down()
        assert worker.rate() == 10.0

    simulated(scenario())


def test_without_a_fresh_poll_nothing_leaves() -> None:
    times: list[float] = []

    async def scenario() -> None:
        worker = pacer(polled=False)
        worker.hold(PARTITIONS)
        task = asyncio.ensure_future(calls_for_ever(worker, times))
        await asyncio.sleep(600)
        task.cancel()
        await asyncio.wait([task])

    simulated(scenario())
    assert times == []
