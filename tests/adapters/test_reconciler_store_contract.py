"""What a ReconcilerStore is, asked of the fake and of PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from payonce.adapters.postgres import Database
from payonce.adapters.reconciler_statements import APPEAL_DAYS, UNFINISHED_STATUSES
from payonce.adapters.reconciler_store import PostgresReconcilerStore
from payonce.ports import DueOrder, DueRule, Mark, StatusAge, StoreUnavailable, WaitingEvent
from services.reconciler.rules import WATCHED
from tests.fakes.reconciler import FakeReconcilerStore, LedgerRow, ReconcilerTables
from tests.fakes.reconciler_tables import Fake, Real, World
from tests.stacks import wait_until_gone

NOW = 1_800_000_000
RULES = (DueRule("created", (100, 200, 400)), DueRule("registered", (1_000,)), DueRule("expiry", (900,)))
BEGIN = Mark(NOW)
TABLES = (
    "payment_order, payment_event, unresolved_event, psp_registration, reconcile_watermark, foreign_reference, "
    "psp_reference"
)


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Empty tables and two stores, of which none has the lock."""
    if request.param == "fake":
        tables = ReconcilerTables(now=lambda: NOW)
        yield Fake(tables, FakeReconcilerStore(tables), FakeReconcilerStore(tables))
        return
    url: Any = request.getfixturevalue("database_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES}"))
    stores = [PostgresReconcilerStore(Database(url, application_name=f"reconciler {n}", pool_size=1)) for n in range(2)]
    yield Real(engine, *stores)
    for store in stores:
        store.close()
    wait_until_gone(engine, "reconciler%")
    engine.dispose()


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


async def test_an_order_is_due_at_the_ages_of_its_status_and_only_at_the_latest(world: World) -> None:
    await world.first.acquire()
    world.order("ord_a", "created", NOW, token="cs_1")
    world.order("ord_b", "registered", NOW)
    world.order("ord_c", "paid", NOW)

    async def due(after: int, until: int) -> list[DueOrder]:
        return list(await world.first.due_orders(RULES, after=Mark(NOW + after), until=NOW + until, limit=10))

    assert await due(0, 99) == []
    assert await due(99, 100) == [DueOrder("ord_a", NOW + 100, "created", ("cs_1",))]
    assert await due(100, 199) == []
    assert await due(0, 5_000) == [
        DueOrder("ord_a", NOW + 400, "created", ("cs_1",)),
        DueOrder("ord_b", NOW + 1_000, "registered"),
    ]


async def test_an_open_page_is_due_after_its_expiry(world: World) -> None:
    await world.first.acquire()
    world.order("ord_a", "registered", NOW, "cs_1", expires=NOW + 10_000)

    found = await world.first.due_orders(RULES, after=Mark(NOW + 2_000), until=NOW + 20_000, limit=10)

    assert found == [DueOrder("ord_a", NOW + 10_900, "expiry", ("cs_1",))]


@pytest.mark.parametrize("state", ["unknown", "failed", "cancelled", "expired", "open", "used"])
async def test_an_attempt_without_a_session_is_due_thrice(world: World, state: str) -> None:
    await world.first.acquire()
    world.attempt(LedgerRow("ord_a", state, NOW, NOW + 9_000, "cs_1" if state in {"open", "used"} else None))
    rules = (DueRule("late_born", (600, 3_600)), DueRule("expiry", (900,)))
    times = []

    for begin in range(NOW, NOW + 12_000, 300):
        found = await world.first.due_orders(rules, after=Mark(begin), until=begin + 300, limit=10)
        times += [(order.due_at - NOW, order.reason) for order in found]

    thrice = [(600, "late_born"), (3_600, "late_born"), (9_900, "late_born")]
    assert times == (thrice if state in {"unknown", "failed", "cancelled"} else [])


async def test_batches_are_limited_and_the_next_begins_where_the_last_ended_even_within_one_second(
    world: World,
) -> None:
    await world.first.acquire()
    for name, at in (("ord_d", 3), ("ord_c", 2), ("ord_B", 2), ("ord_a", 1), ("ord_e", 2)):
        world.order(name, "created", NOW + at)
    asked, mark = [], BEGIN

    while found := await world.first.due_orders(RULES, after=mark, until=NOW + 199, limit=2):
        asked += [(order.order_id, order.due_at - NOW) for order in found]
        assert len(found) <= 2
        mark = Mark.at(found[-1].due_at, found[-1].order_id)

    assert asked == [("ord_a", 101), ("ord_B", 102), ("ord_c", 102), ("ord_e", 102), ("ord_d", 103)]


async def test_an_order_is_asked_after_with_its_disputes(world: World) -> None:
    """A subscription's dispute of an invoice in between is reached by nothing else."""
    await world.first.acquire()
    world.order("ord_a", "disputed", NOW, "cs_1", disputes={"dp_2": 4, "dp_1": 6})
    world.order("ord_b", "disputed", NOW, disputes={"du_1": 4})

    found = await world.first.due_orders((DueRule("disputed", (60,)),), after=BEGIN, until=NOW + 60, limit=9)

    assert [order.psp_ids for order in found] == [("cs_1", "dp_1", "dp_2"), ("du_1",)]


async def test_a_lost_order_is_asked_after_only_if_an_event_has_told_of_an_appeal(world: World) -> None:
    """By the age of what was told, for as long as an appeal is likely."""
    await world.first.acquire()
    told = NOW - 600
    world.order("ord_a", "charged_back", NOW - 5_000, disputes={"dp_1": 6, "dp_2": 7}, updated_at=told)
    world.order("ord_b", "charged_back", NOW - 5_000, disputes={"dp_3": 6}, updated_at=told)
    world.order("ord_c", "charged_back", NOW - APPEAL_DAYS * 86_400 - 1, disputes={"dp_4": 8}, updated_at=told)
    world.order("ord_d", "paid", NOW - 5_000, disputes={"dp_5": 7}, updated_at=told)

    found = await world.first.due_orders((DueRule("appealed", (600,)),), after=Mark(NOW - 1), until=NOW, limit=9)

    assert found == [DueOrder("ord_a", NOW, "appealed", ("dp_1", "dp_2"))]


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


async def test_a_row_from_before_its_status_was_dated_is_as_old_as_its_last_change(world: World) -> None:
    if isinstance(world, Fake):
        pytest.skip("the fake has no such rows")
    await world.first.acquire()
    world.order("ord_a", "created", None, updated_at=NOW)

    [found] = await world.first.due_orders(RULES, after=BEGIN, until=NOW + 100, limit=9)
    [age] = await world.first.ages({"created": 5})

    assert (found.due_at, age.oldest_since) == (NOW + 100, NOW)


def test_the_watched_statuses_are_those_that_the_database_finds_quickly() -> None:
    assert set(WATCHED) == set(UNFINISHED_STATUSES)
