"""The demo's days pass for all lives together, and only when nobody is busy."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from sandbox.demo.days import DAY_SECONDS, Days

START = 1_790_000_000.0


class Clock:
    """The PSP's clock; each call takes a millisecond of it, as a real one goes on by itself."""

    def __init__(self) -> None:
        self.now = START
        self.moves: list[float] = []

    def advance_clock(self, seconds: float) -> dict[str, float]:
        self.now += seconds + 0.001
        if seconds:
            self.moves.append(seconds)
        return {"now": self.now}


async def pass_days(waits: list[list[int]]) -> tuple[Clock, list[tuple[int, int]]]:
    """Let lives wait for these days, one after the other; return the clock, and who woke up on which day."""
    clock = Clock()
    days = Days(clock, len(waits))
    woken: list[tuple[int, int]] = []

    async def live(name: int) -> None:
        for day in waits[name]:
            await days.until(START + day * DAY_SECONDS + 1)
            woken.append((days.day, name))
        days.leave()

    await days.now()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(days.run())
        for name in range(len(waits)):
            group.create_task(live(name))
    return clock, woken


@given(st.lists(st.lists(st.integers(1, 40), max_size=3, unique=True).map(sorted), max_size=4))
def test_every_life_wakes_on_its_day_and_none_sleeps_over_one(waits: list[list[int]]) -> None:
    clock, woken = asyncio.run(pass_days(waits))

    assert sorted(woken) == sorted((day, name) for name, days in enumerate(waits) for day in days)
    assert [day for day, _ in woken] == sorted(day for day, _ in woken)
    assert len(clock.moves) == len({day for days in waits for day in days})


async def test_no_day_passes_while_one_of_them_is_busy() -> None:
    clock = Clock()
    days = Days(clock, 2)
    passing = asyncio.create_task(days.run())
    waiting = asyncio.create_task(days.until(START + DAY_SECONDS))
    for _ in range(5):  # each goes to the clock and back: a move that was asked for before is done by then
        await days.now()
    assert clock.moves == []

    days.leave()
    await waiting
    days.leave()
    await passing
    assert len(clock.moves) == 1


async def test_a_day_that_has_come_already_is_not_waited_for() -> None:
    clock, woken = await pass_days([[3, 1]])

    assert (len(clock.moves), woken) == (1, [(3, 0), (3, 0)])
