"""The network holds calls back and lets them go at once: still no second at the PSP sees more than its limit."""

from __future__ import annotations

import asyncio
import bisect
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.psp_worker.pace import Limits, Pacer
from tests.fakes.clock import LoopClock, simulated

LIMIT, PARTITIONS, CALLERS = 25.0, 12, 128


@dataclass
class Link:
    """Everything that is sent while it is silent arrives when that is over, and is answered a moment later."""

    latency_seconds: float
    open: asyncio.Event = field(default_factory=asyncio.Event)
    arrivals: list[float] = field(default_factory=list)

    async def call(self) -> None:
        await self.open.wait()
        self.arrivals.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.latency_seconds)


async def call_for_ever(worker: Pacer, link: Link, *, spare: bool) -> None:
    lane = worker.lane("sessions.create", spare=spare)
    while True:
        async with lane.line:
            await lane.due()
            left_at = lane.left()
        await link.call()
        lane.came_back(left_at)


def busiest_second(times: list[float]) -> int:
    ordered = sorted(times)
    return max((bisect.bisect_left(ordered, at + 1 - 1e-6) - i for i, at in enumerate(ordered)), default=0)


def arrivals(weather: list[tuple[float, float]], *, latency_seconds: float, workers: int = 1) -> list[float]:
    """Let workers that all have enough to do call through a link that is open and silent in turns."""

    async def scenario() -> list[float]:
        clock, link = LoopClock(), Link(latency_seconds)
        group = [
            Pacer(clock, limits=Limits(LIMIT, LIMIT * 4), partitions=PARTITIONS, last_poll_at=clock.monotonic)
            for _ in range(workers)
        ]
        tasks = []
        for worker in group:
            worker.hold(PARTITIONS // workers)
            calls = [call_for_ever(worker, link, spare=number % 8 == 0) for number in range(CALLERS)]
            tasks += [asyncio.ensure_future(each) for each in calls]
        for open_seconds, silent_seconds in weather:
            link.open.set()
            await asyncio.sleep(open_seconds)
            link.open.clear()
            await asyncio.sleep(silent_seconds)
        link.open.set()
        await asyncio.sleep(3)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return link.arrivals

    return simulated(scenario())


@example(weather=[(5.0, 15.0)], latency=0.3, workers=1)
@example(weather=[(5.0, 1.5), (0.2, 1.5), (0.2, 1.5)], latency=0.05, workers=3)
@example(weather=[(1.0, 2.0)] * 3, latency=0.5, workers=1)
@settings(deadline=None, max_examples=25)
@given(
    weather=st.lists(st.tuples(st.floats(0.1, 6), st.floats(1.3, 20)), min_size=1, max_size=5),
    latency=st.floats(0.02, 0.9),
    workers=st.sampled_from([1, 2, 3, 4, 6]),
)
def test_after_any_stall_no_second_sees_more_than_the_limit(
    weather: list[tuple[float, float]], latency: float, workers: int
) -> None:
    """Without a bound on what is on its way, a stall of a few seconds ended in a hundred calls at once."""
    assert busiest_second(arrivals(weather, latency_seconds=latency, workers=workers)) <= LIMIT


@pytest.mark.parametrize("latency", [0.05, 0.5, 0.9])
def test_an_even_network_is_not_slowed_down(latency: float) -> None:
    times = arrivals([(62.0, 0.1)], latency_seconds=latency)
    steady = [at for at in times if 2 <= at < 62]

    assert len(steady) >= 0.8 * LIMIT * 60 * 0.95
