"""The pace: never more than the limit in any one second, whoever holds the partitions."""

from __future__ import annotations

import asyncio
import bisect
import itertools
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.psp_worker.pace import Endpoint, Limits, Pacer
from tests.fakes.clock import LoopClock, simulated

LIMIT, PARTITIONS = 25.0, 12


def pacer(*, polled: bool = True) -> Pacer:
    clock = LoopClock()
    return Pacer(
        clock,
        limits=Limits(LIMIT, LIMIT * 4),
        partitions=PARTITIONS,
        last_poll_at=lambda: clock.monotonic() if polled else float("-inf"),
    )


async def calls_for_ever(worker: Pacer, times: list[float]) -> None:
    lane = worker.lane("sessions.create", spare=False)
    while True:
        async with lane.line:
            await lane.due()
            lane.came_back(lane.left())
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
        times: list[float] = []
        task = asyncio.ensure_future(calls_for_ever(worker, times))
        await asyncio.sleep(0.95)
        task.cancel()
        assert len(times) == 10

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


# ------------------------------------------------------------------------------------------ several endpoints

ENDPOINTS: tuple[Endpoint, ...] = ("sessions.create", "sessions.expire", "sessions.list", "refunds.create", "reads")
RESERVED = 2.0


async def wants(worker: Pacer, endpoint: Endpoint, calls: list[tuple[float, str, bool]], *, spare: bool) -> None:
    lane = worker.lane(endpoint, spare=spare)
    while True:
        async with lane.line:
            await lane.due()
            lane.came_back(lane.left())
            calls.append((asyncio.get_running_loop().time(), endpoint, spare))


async def reconciles(calls: list[tuple[float, str, bool]]) -> None:
    """Call as the reconciler does: evenly, now this endpoint, now that."""
    for endpoint in itertools.cycle(["sessions.list", "reads", "reads"]):
        calls.append((asyncio.get_running_loop().time(), endpoint, False))
        await asyncio.sleep(1 / RESERVED)


@example(owners=[list(range(PARTITIONS))], seed=0, total=25.0)  # all in step: each one's odd call in one second
@settings(deadline=None, max_examples=15)
@given(
    owners=st.lists(st.lists(st.integers(0, 11), min_size=PARTITIONS, max_size=PARTITIONS), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
    total=st.sampled_from([25.0, 40.0, 100.0]),
)
def test_every_endpoint_and_all_together_stay_under_their_limits(
    owners: list[list[int]], seed: int, total: float
) -> None:
    """Up to twelve workers and the reconciler, all wanting everything always, partitions wandering between them."""
    calls: list[tuple[float, str, bool]] = []

    async def scenario() -> None:
        chance, clock = random.Random(seed), LoopClock()  # noqa: S311  (a seed, not a secret)
        limits = Limits(LIMIT, total, RESERVED)
        workers = [Pacer(clock, limits=limits, partitions=PARTITIONS, last_poll_at=clock.monotonic) for _ in range(12)]
        tasks = [
            asyncio.ensure_future(wants(worker, endpoint, calls, spare=spare))
            for worker in workers
            for endpoint in ENDPOINTS
            for spare in (False, True)
        ]
        tasks.append(asyncio.ensure_future(reconciles(calls)))
        held = [0] * 12
        for assignment in owners:
            wanted = [assignment.count(number) for number in range(12)]
            order = sorted(range(12), key=lambda number: wanted[number] - held[number])
            for number in order:  # the losers stop before the winners hear of it
                if wanted[number] != held[number]:
                    workers[number].hold(wanted[number])
            held = wanted
            await asyncio.sleep(chance.uniform(0.1, 5))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    simulated(scenario())
    assert busiest_second([at for at, _, _ in calls]) <= total
    for endpoint in ENDPOINTS:
        assert busiest_second([at for at, name, _ in calls if name == endpoint]) <= LIMIT


def test_what_is_spare_has_a_quarter_of_an_endpoint_and_keeps_nothing_live_waiting() -> None:
    calls: list[tuple[float, str, bool]] = []

    async def scenario() -> None:
        worker = pacer()
        worker.hold(PARTITIONS)
        tasks = [
            asyncio.ensure_future(wants(worker, endpoint, calls, spare=spare))
            for endpoint in ENDPOINTS
            for spare in (False, True)
        ]
        await asyncio.sleep(12)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    simulated(scenario())
    late = [call for call in calls if call[0] >= 2]
    assert sum(1 for _, _, spare in late if spare) <= 51
    live = [call for call in late if not call[2]]
    assert {name for _, name, _ in live} == set(ENDPOINTS)
    assert len(live) > 600, "live calls have all that the total leaves"
