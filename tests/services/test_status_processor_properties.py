"""The fold under crashes and under any cut of the log into batches."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.ports import OutgoingRecord, Record
from tests.services.status_processor_bench import FoldOnFakes
from tests.services.status_processor_records import TOKENS, Life, Log, foreign_session, garbage


class Crash(BaseException):
    """The process is gone."""


def story() -> list[OutgoingRecord]:
    """Three lives, something foreign and something broken."""
    lives = [record for n in range(3) for record in Life(n).whole()]
    return [*lives, foreign_session(), garbage(TOKENS)]


def shuffled(seed: int) -> list[Record]:
    """The story as some mix of partitions might bring it, with duplicates."""
    chance = random.Random(seed)  # noqa: S311  (a seed of a test)
    records = story()
    mixed = records + chance.sample(records, 5)
    chance.shuffle(mixed)
    return Log().append(mixed)


def told_once() -> FoldOnFakes:
    """The story in one batch: what the rows must be."""
    bench = FoldOnFakes()
    asyncio.run(bench.fold.run_once(Log().append(story())))
    return bench


EXPECTED = told_once()


@given(seed=st.integers(0, 2**32), cuts=st.sets(st.integers(1, 24)), repeated=st.integers(0, 24))
@settings(max_examples=150, deadline=None)
def test_any_order_cut_into_any_batches_gives_the_same_rows(seed: int, cuts: set[int], repeated: int) -> None:
    """Shuffled, duplicated, cut anywhere, one part read twice, a restart in between: the rows are the same."""
    records = shuffled(seed)
    edges = [0, *sorted(cuts), len(records)]
    bench = FoldOnFakes()

    async def tell() -> None:
        for start, end in itertools.pairwise(edges):
            await bench.fold.run_once(records[start:end])
        bench.restart()
        await bench.fold.run_once(records[repeated:])

    asyncio.run(tell())

    assert bench.rows() == EXPECTED.rows()
    assert bench.store.tables.parked == {}
    assert bench.store.tables.references.keys() == EXPECTED.store.tables.references.keys()
    assert set(bench.dead()) == {(f"{TOKENS}.dlt", "not_json")}
    versions: dict[str, int] = {}
    for message in bench.announced():
        assert message.version > versions.get(message.order_id, 0)
        versions[message.order_id] = message.version


async def _calls_of_one_run() -> int:
    bench, calls = FoldOnFakes(), list[str]()
    bench.store.fault = calls.append
    await bench.fold.run_once(Log().append(story()))
    return len(calls)


CALLS = asyncio.run(_calls_of_one_run())


@pytest.mark.parametrize("crash_at", range(CALLS))
async def test_a_crash_at_any_port_call_then_the_same_batch_again_gives_the_same_rows(crash_at: int) -> None:
    bench = FoldOnFakes()
    records = Log().append(story())
    countdown = iter(range(CALLS))

    def crash(_call: str) -> None:
        if next(countdown, None) == crash_at:
            raise Crash

    bench.store.fault = crash
    with pytest.raises(Crash):
        await bench.fold.run_once(records)
    bench.store.fault = lambda _: None
    bench.restart()
    await bench.fold.run_once(records)

    assert bench.rows() == EXPECTED.rows()
    assert bench.store.tables.positions == EXPECTED.store.tables.positions
    assert len(bench.announced()) == len(EXPECTED.announced())
    assert set(bench.dead()) == set(EXPECTED.dead())
    assert bench.store.tables.timeline.keys() == EXPECTED.store.tables.timeline.keys()
