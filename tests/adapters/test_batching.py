"""The batcher: few flushes, every caller its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from payonce.adapters.batching import Batcher
from payonce.ports import StoreRejected, StoreUnavailable


class Flushes:
    """Doubles numbers; refuses batches with a negative one."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.away = False

    async def flush(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable("away")
        if any(item < 0 for item in items):
            raise StoreRejected("negative")
        return [item * 2 for item in items]


async def test_what_comes_while_a_batch_runs_goes_into_the_next() -> None:
    flushes = Flushes()
    batcher = Batcher(flushes.flush, limit=64)
    answers = await asyncio.gather(*(batcher.submit(number) for number in range(100)))

    assert answers == [number * 2 for number in range(100)]
    assert [len(batch) for batch in flushes.batches] == [64, 36]


async def test_a_lone_item_does_not_wait() -> None:
    flushes = Flushes()
    assert await Batcher(flushes.flush, limit=64).submit(4) == 8
    assert flushes.batches == [[4]]


async def test_bad_data_fails_its_own_caller_only() -> None:
    batcher = Batcher(Flushes().flush, limit=64)
    answers = await asyncio.gather(*(batcher.submit(number) for number in (1, -1, 3)), return_exceptions=True)

    assert (answers[0], type(answers[1]), answers[2]) == (2, StoreRejected, 6)


async def test_an_outage_is_everybodys_and_the_next_batch_starts_fresh() -> None:
    flushes = Flushes()
    batcher = Batcher(flushes.flush, limit=64)
    flushes.away = True
    answers = await asyncio.gather(*(batcher.submit(number) for number in (1, 2)), return_exceptions=True)
    flushes.away = False

    assert [type(answer) for answer in answers] == [StoreUnavailable, StoreUnavailable]
    assert await batcher.submit(5) == 10


async def test_a_caller_that_gives_up_disturbs_nobody() -> None:
    batcher = Batcher(Flushes().flush, limit=64)
    gone, stays = asyncio.ensure_future(batcher.submit(1)), asyncio.ensure_future(batcher.submit(2))
    await asyncio.sleep(0)
    gone.cancel()

    assert await stays == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
