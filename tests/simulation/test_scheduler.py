"""The virtual loop's own promises."""

from __future__ import annotations

import asyncio
import gc
import warnings

from tests.simulation.scheduler import Incarnation, VirtualLoop

_MANY_TASKS = 5_000


def test_what_is_begun_while_a_run_is_unwound_leaves_nothing_behind() -> None:
    loop = VirtualLoop()  # type: ignore[abstract]
    process = Incarnation("process", loop)

    async def waits_for_ever(successors: int) -> None:
        try:
            await loop.create_future()
        finally:
            for _ in range(successors):
                loop.create_task(waits_for_ever(0))

    async def run() -> None:
        process.start(waits_for_ever(_MANY_TASKS))
        await asyncio.sleep(1.0)

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        loop.run(run())
        gc.collect()

    assert [str(each.message) for each in heard] == []
