"""What a ReconcilerStore is, asked of the fake and of PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from payonce.adapters.reconciler_statements import UNFINISHED_STATUSES
from payonce.ports import DueRule, Mark, StatusAge, StoreUnavailable, WaitingEvent
from services.reconciler.rules import WATCHED
from tests.fakes.reconciler_tables import NOW, WORLDS, World, empty_world

RULES = (DueRule("created", (100,)),)
BEGIN = Mark(NOW)


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Empty tables and two stores, of which none has the lock."""
    yield from empty_world(request)


async def test_one_reconciler_at_a_time_and_asking_again_changes_nothing(world: World) -> None:
    asked = [await world.first.acquire(), await world.first.acquire(), await world.second.acquire()]

    assert asked == [True, True, False]
    world.first.close()
    async with asyncio.timeout(60):
        while not await world.second.acquire():  # PostgreSQL notices the end of a connection a little later
            await asyncio.sleep(0.01)


CALLS: dict[str, Callable[[Any], Any]] = {
    "watermark": lambda store: store.watermark("events"),
    "advance": lambda store: store.advance("events", Mark(1)),
    "unknown_events": lambda store: store.unknown_events({"evt_1": 1}),
    "due_orders": lambda store: store.due_orders(RULES, after=Mark(0), until=1, limit=1),
    "due_waiting": lambda store: store.due_waiting((1,), after=Mark(0), until=1, limit=1, payments=True),
    "remember_foreign": lambda store: store.remember_foreign(["pi_1"]),
    "ages": lambda store: store.ages({"created": 1}),
}


@pytest.mark.parametrize("call", CALLS)
async def test_without_the_lock_nothing_is_read_or_written(world: World, call: str) -> None:
    await world.first.acquire()

    with pytest.raises(StoreUnavailable):
        await CALLS[call](world.second)

    assert await world.first.watermark("events") is None
    assert world.foreign() == set()


async def test_a_lost_connection_is_a_lost_lock(world: World) -> None:
    """Reconnecting behind the reconciler's back must not let it go on: another may have begun."""
    await world.first.acquire()
    world.break_connections()

    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await world.first.advance("events", Mark(5))
    assert await world.first.acquire()
    assert await world.first.watermark("events") is None


async def test_each_task_has_its_watermark(world: World) -> None:
    await world.first.acquire()

    await world.first.advance("events", Mark(5, "evt_1"))
    await world.first.advance("events", Mark(7))
    await world.first.advance("orders", Mark(6, "ord_a"))

    marks = [await world.first.watermark(task) for task in ("events", "orders", "waiting")]
    assert marks == [Mark(7), Mark(6, "ord_a"), None]


async def test_events_that_are_folded_or_waiting_are_known(world: World) -> None:
    await world.first.acquire()
    world.folded("evt_folded", NOW)
    world.waits("evt_waiting", ("pi_1",), NOW)

    asked = {"evt_folded": NOW, "evt_waiting": NOW - 5, "evt_new": NOW}

    assert await world.first.unknown_events(asked) == {"evt_new"}
    assert await world.first.unknown_events({}) == set()


async def test_waiting_events_are_due_at_their_ages(world: World) -> None:
    await world.first.acquire()
    world.waits("evt_a", ("pi_1", "re_1"), NOW)
    world.waits("evt_b", ("dp_2", "pi_2"), NOW + 5)

    async def due(until: int, after: int, limit: int) -> list[WaitingEvent]:
        mark, end = Mark(NOW + after), NOW + until
        return list(await world.first.due_waiting((60, 300), after=mark, until=end, limit=limit, payments=False))

    assert await due(100, after=0, limit=5) == [
        WaitingEvent("evt_a", ("pi_1", "re_1"), NOW + 60),
        WaitingEvent("evt_b", ("dp_2", "pi_2"), NOW + 65),
    ]
    assert await due(1_000, after=100, limit=1) == [WaitingEvent("evt_a", ("pi_1", "re_1"), NOW + 300)]


async def test_of_many_events_that_wait_since_one_second_each_batch_takes_the_next(world: World) -> None:
    await world.first.acquire()
    names = ["evt_A", "evt_a", "evt_b", "evt_c", "evt_d"]
    for name in reversed(names):
        world.waits(name, (f"re_{name}",), NOW)
    asked, mark = [], BEGIN

    while found := await world.first.due_waiting((60,), after=mark, until=NOW + 60, limit=2, payments=False):
        asked += [event.event_id for event in found]
        mark = Mark.at(found[-1].due_at, found[-1].event_id)

    assert asked == names


async def test_events_about_nothing_but_a_payment_are_a_line_of_their_own(world: World) -> None:
    await world.first.acquire()
    lone = {"evt_intent": ("ch_1", "pi_1"), "evt_charge": ("py_1",)}
    others = {"evt_refund": ("ch_1", "pi_1", "re_1"), "evt_invoice": ("in_1",), "evt_dispute": ("dp_1", "pi_1")}
    for name, references in {**lone, **others}.items():
        world.waits(name, references, NOW)

    for payments, expected in ((True, lone), (False, others)):
        found = await world.first.due_waiting((60,), after=BEGIN, until=NOW + 60, limit=9, payments=payments)
        assert {event.event_id: event.references for event in found} == expected


async def test_foreign_objects_are_remembered_once(world: World) -> None:
    await world.first.acquire()

    await world.first.remember_foreign(["pi_1", "re_1", "pi_1"])
    await world.first.remember_foreign(["re_1"])

    assert world.foreign() == {"pi_1", "re_1"}


async def test_ages_tell_how_many_since_when_and_how_many_for_too_long(world: World) -> None:
    await world.first.acquire()
    for number in range(3):
        world.order(f"ord_{number}", "created", NOW - 3_000 * 86_400 - number)
    world.order("ord_x", "paid", NOW - 3_000 * 86_400)

    found = await world.first.ages({"created": 100_000 * 86_400, "registered": 5})
    stuck = await world.first.ages({"created": 5})

    assert list(found) == [StatusAge("created", 3, NOW - 3_000 * 86_400 - 2, 0)]
    assert [age.stuck for age in stuck] == [3]


def test_the_watched_statuses_are_those_that_the_database_finds_quickly() -> None:
    assert set(WATCHED) == set(UNFINISHED_STATUSES)
