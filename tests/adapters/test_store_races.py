"""Two processes at once, asked of the simulated PostgreSQL and of the real one: what locks, what waits, what is seen.

The simulation is worth what its store is worth; so each race that it relies on is run on both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from payonce.ports import (
    FoldStore,
    FoldTransaction,
    OrderChange,
    ParkedEvent,
    PositionMoved,
    Record,
    Reference,
    StoreUnavailable,
    TopicPartition,
)
from tests.fakes.fold_rows import COLUMNS
from tests.fakes.races import Race

FIRST, SECOND = "ord_" + "a" * 26, "ord_" + "b" * 26
PLACE = TopicPartition("payments.tokens", 3)
#: Far longer than any statement takes, so that who has not answered by then waits for a lock.
SURELY_WAITING_SECONDS = 0.4


class GaveUp(Exception):
    """Rolls a transaction back."""


def change(order_id: str, facts: dict[str, Any]) -> OrderChange:
    return OrderChange(order_id, facts, COLUMNS, 1, None)


@asynccontextmanager
async def given_up(store: FoldStore) -> AsyncIterator[FoldTransaction]:
    """A transaction that is rolled back at its end."""
    with suppress(GaveUp):
        async with store.transaction() as transaction:
            yield transaction
            raise GaveUp


async def waits(work: asyncio.Future[Any]) -> bool:
    done, _ = await asyncio.wait([work], timeout=SURELY_WAITING_SECONDS)
    return not done


def test_who_waits_for_an_order_reads_what_the_other_has_committed(race: Race[Any]) -> None:
    async def scenario(ours: FoldStore, theirs: FoldStore) -> tuple[bool, Any]:
        async def second() -> Any:
            async with theirs.transaction() as transaction:
                return (await transaction.lock([FIRST]))[FIRST].facts

        async with ours.transaction() as transaction:
            await transaction.lock([FIRST])
            task = asyncio.ensure_future(second())
            waited = await waits(task)
            await transaction.save([change(FIRST, {"a": 1})], {})
        return waited, await task

    assert race(scenario) == (True, {"a": 1})


def test_a_row_that_is_rolled_back_is_made_by_who_waited(race: Race[Any]) -> None:
    async def scenario(ours: FoldStore, theirs: FoldStore) -> tuple[bool, Any]:
        async def second() -> Any:
            async with theirs.transaction() as transaction:
                return (await transaction.lock([FIRST]))[FIRST].facts

        async def first() -> tuple[bool, asyncio.Future[Any]]:
            async with given_up(ours) as transaction:
                await transaction.lock([FIRST])
                await transaction.save([change(FIRST, {"a": 1})], {})
                task = asyncio.ensure_future(second())
                waited = await waits(task)
            return waited, task

        waited, task = await first()
        return waited, await task

    assert race(scenario) == (True, {})


def test_another_order_is_not_waited_for(race: Race[Any]) -> None:
    async def scenario(ours: FoldStore, theirs: FoldStore) -> list[str]:
        async with ours.transaction() as transaction, theirs.transaction() as other:
            await transaction.lock([FIRST])
            return sorted(await other.lock([SECOND]))

    assert race(scenario) == [SECOND]


def test_what_is_not_committed_is_not_seen_and_each_statement_looks_anew(race: Race[Any]) -> None:
    async def scenario(ours: FoldStore, theirs: FoldStore) -> tuple[Any, Any]:
        async with theirs.transaction() as reader:
            async with ours.transaction() as transaction:
                await transaction.lock([FIRST])
                await transaction.save([change(FIRST, {})], {"pi_1": Reference(FIRST, None)})
                before = dict(await reader.orders_of(["pi_1"]))
            return before, dict(await reader.orders_of(["pi_1"]))

    assert race(scenario) == ({}, {"pi_1": FIRST})


def test_of_two_owners_of_one_psp_id_the_first_to_insert_stays(race: Race[Any]) -> None:
    async def scenario(ours: FoldStore, theirs: FoldStore) -> tuple[bool, Any]:
        async def second() -> None:
            async with theirs.transaction() as transaction:
                await transaction.lock([SECOND])
                await transaction.save([change(SECOND, {})], {"pi_1": Reference(SECOND, "pi_1")})

        async with ours.transaction() as transaction:
            await transaction.lock([FIRST])
            await transaction.save([change(FIRST, {})], {"pi_1": Reference(FIRST, None)})
            task = asyncio.ensure_future(second())
            waited = await waits(task)
        await task
        async with ours.transaction() as transaction:
            return waited, dict(await transaction.orders_of(["pi_1"]))

    assert race(scenario) == (True, {"pi_1": FIRST})


@pytest.mark.parametrize("start", [None, 5])
def test_of_two_who_advance_a_position_one_must_end(race: Race[Any], start: int | None) -> None:
    async def scenario(ours: FoldStore, theirs: FoldStore) -> tuple[bool, Any, Any]:
        if start is not None:
            async with ours.transaction() as transaction:
                await transaction.advance({PLACE: start}, expected={PLACE: None})

        async def second() -> None:
            async with theirs.transaction() as transaction:
                await transaction.advance({PLACE: 7}, expected={PLACE: start})

        async with ours.transaction() as transaction:
            await transaction.advance({PLACE: 6}, expected={PLACE: start})
            task = asyncio.ensure_future(second())
            waited = await waits(task)
        [error] = await asyncio.gather(task, return_exceptions=True)
        return waited, type(error), dict(await ours.positions())

    assert race(scenario) == (True, PositionMoved, {PLACE: 6})


@pytest.mark.parametrize("commits", [True, False])
def test_a_waiting_event_is_taken_by_one(race: Race[Any], commits: bool) -> None:
    event = ParkedEvent("evt_1", ("ch_1",), Record("payments.webhooks", 0, 0, b"k", b"{}"))

    async def scenario(ours: FoldStore, theirs: FoldStore) -> tuple[int, bool, int]:
        async with ours.transaction() as transaction:
            await transaction.park([event])

        async def second() -> int:
            async with theirs.transaction() as transaction:
                return len(await transaction.parked_for(["ch_1"]))

        async with ours.transaction() if commits else given_up(ours) as transaction:
            taken = len(await transaction.parked_for(["ch_1"]))
            task = asyncio.ensure_future(second())
            waited = await waits(task)
        return taken, waited, await task

    assert race(scenario) == (1, True, 0 if commits else 1)


def test_one_sweeps_at_a_time(race: Race[Any]) -> None:
    event = ParkedEvent("evt_1", ("ch_1",), Record("payments.webhooks", 0, 0, b"k", b"{}"))

    async def scenario(ours: FoldStore, theirs: FoldStore) -> list[Any]:
        async with ours.transaction() as transaction:
            await transaction.park([event])
            await transaction.lock([FIRST])
            await transaction.save([change(FIRST, {})], {"ch_1": Reference(FIRST, None)})
        async with ours.transaction() as one, theirs.transaction() as other:
            found = [list(await one.resolvable(10)), list(await other.resolvable(10))]
        async with theirs.transaction() as later:
            return [*found, list(await later.resolvable(10))]

    assert race(scenario) == [["ch_1"], [], ["ch_1"]]


def test_of_two_who_wait_for_each_other_one_is_sent_away(race: Race[Any]) -> None:
    async def scenario(ours: FoldStore, theirs: FoldStore) -> list[bool]:
        async def crossing(store: FoldStore, first: str, then: str, ready: asyncio.Event, go: asyncio.Event) -> None:
            async with store.transaction() as transaction:
                await transaction.lock([first])
                ready.set()
                await go.wait()
                await transaction.lock([then])

        one, other = asyncio.Event(), asyncio.Event()
        answers = await asyncio.gather(
            crossing(ours, FIRST, SECOND, one, other),
            crossing(theirs, SECOND, FIRST, other, one),
            return_exceptions=True,
        )
        return sorted(isinstance(answer, StoreUnavailable) for answer in answers)

    assert race(scenario) == [False, True]
