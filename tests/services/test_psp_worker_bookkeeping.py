"""Offsets, lanes and slots: what may be committed, what may start, how many at once."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.psp_worker.lanes import Lanes
from services.psp_worker.offsets import OpenOffsets
from services.psp_worker.slots import Slots
from services.psp_worker.timing import backoff_seconds
from tests.fakes.clock import simulated


@given(gaps=st.lists(st.integers(1, 5), min_size=1, max_size=60), seed=st.randoms(use_true_random=False))
def test_only_a_contiguous_finished_prefix_is_committable(gaps: list[int], seed: random.Random) -> None:
    """Whatever the order of finishing, and with holes in the log: everything below the commit is finished."""
    offsets, delivered, position = OpenOffsets(), [], 0
    for gap in gaps:
        position += gap
        delivered.append(position)
        offsets.delivered(position)
    finished: set[int] = set()
    for offset in seed.sample(delivered, len(delivered)):
        finished.add(offset)
        offsets.finished(offset)
        prefix = [known for known in delivered if all(earlier in finished for earlier in delivered if earlier <= known)]
        assert offsets.committable == (prefix[-1] + 1 if prefix else None)
        assert len(offsets) == len(delivered) - len(prefix)
    assert offsets.committable == delivered[-1] + 1


def test_an_offset_that_goes_back_within_an_assignment_is_a_bug() -> None:
    offsets = OpenOffsets()
    offsets.delivered(7)
    with pytest.raises(AssertionError):
        offsets.delivered(7)


STEPS = st.lists(st.sampled_from(["add", "start", "end", "drop odd", "drop even"]), max_size=60)


@example(keys=[0, 0, 0], steps=["add", "drop even", "add", "start", "add", "start"])  # ready twice, once dropped
@given(keys=st.lists(st.integers(0, 3), max_size=40), steps=STEPS)
def test_lanes_keep_the_order_of_each_key_and_start_one_at_a_time(keys: list[int], steps: list[str]) -> None:
    """Any mix of adding, starting, ending and dropping; at the end nothing is left behind."""
    lanes: Lanes[tuple[int, int]] = Lanes()
    waiting = deque((key, number) for number, key in enumerate(keys))
    queued: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    out: list[int] = []
    for step in [*steps, *["add"] * len(keys), *["start", "end"] * len(keys)]:
        if step == "add" and waiting:
            item = waiting.popleft()
            lanes.add(item[0], item)
            queued[item[0]].append(item)
        elif step.startswith("drop"):
            parity = int(step == "drop odd")
            lanes.drop(lambda item, parity=parity: item[1] % 2 == parity)  # type: ignore[misc]
            for key, items in queued.items():
                queued[key] = [item for item in items if item[1] % 2 != parity]
        elif step == "end" and out:
            lanes.done(out.pop(0))
        elif step == "start" and (ready := lanes.next()) is not None:
            started = ready[1]
            assert ready[0] == started[0]
            assert started[0] not in out
            assert queued[started[0]].pop(0) == started
            out.append(started[0])
        elif step == "start":
            assert all(key in out for key, items in queued.items() if items)
    assert not any(queued.values())


def test_returning_work_comes_before_new_work() -> None:
    async def scenario() -> None:
        slots = Slots(1)
        returning = slots.take()

        async def waits() -> None:
            async with returning.given_back():
                await asyncio.sleep(1)

        task = asyncio.ensure_future(waits())
        await asyncio.sleep(0)
        assert returning.waiting
        new = slots.take()
        await asyncio.sleep(2)  # the first wants its slot again by now
        new.close()
        assert slots.free == 0
        await task
        assert not returning.waiting
        returning.close()
        returning.close()
        assert slots.free == 1

    simulated(scenario())


def test_work_that_ends_while_it_waits_takes_no_slot() -> None:
    async def scenario() -> None:
        slots = Slots(1)
        slot = slots.take()

        async def waits() -> None:
            async with slot.given_back():
                await asyncio.sleep(60)

        task = asyncio.ensure_future(waits())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        slot.close()
        assert slots.free == 1

    simulated(scenario())


def test_work_that_is_cancelled_as_its_slot_comes_gives_it_on() -> None:
    async def scenario() -> None:
        slots = Slots(1)
        returning = slots.take()

        async def waits() -> None:
            async with returning.given_back():
                await asyncio.sleep(1)

        task = asyncio.ensure_future(waits())
        await asyncio.sleep(0)
        new = slots.take()
        await asyncio.sleep(2)
        new.close()  # hands the slot over ...
        task.cancel()  # ... to one that is ended before it runs again
        await asyncio.wait([task])
        returning.close()
        assert slots.free == 1

    simulated(scenario())


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_backoff_is_bounded(failures: int, jitter: float) -> None:
    assert 0.5 <= backoff_seconds(failures, jitter) <= 30.0
    assert backoff_seconds(failures, jitter) <= backoff_seconds(failures + 1, jitter)
