"""What a ReconcilerStore is, asked of the fake and of PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from payonce.adapters.postgres import Database, DatabaseThread
from payonce.adapters.reconciler_report import PostgresReconcilerReport
from payonce.adapters.reconciler_statements import UNFINISHED_STATUSES
from payonce.adapters.reconciler_store import PostgresReconcilerStore
from payonce.ports import DueOrder, DueRule, StatusAge, StoreUnavailable, StuckOrder, WaitingEvent
from services.reconciler.rules import WATCHED
from tests.fakes.reconciler import FakeReconcilerStore, LedgerRow, ReconcilerTables
from tests.fakes.reconciler_tables import Fake, Real, World

NOW = 1_800_000_000
RULES = (DueRule("created", (100, 200, 400)), DueRule("registered", (1_000,)))
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
    engine.dispose()


async def test_one_reconciler_at_a_time_and_asking_again_changes_nothing(world: World) -> None:
    asked = [await world.first.acquire(), await world.first.acquire(), await world.second.acquire()]

    assert asked == [True, True, False]
    world.first.close()
    async with asyncio.timeout(10):
        while not await world.second.acquire():  # PostgreSQL notices the end of a connection a little later
            await asyncio.sleep(0.01)


CALLS: dict[str, Callable[[Any], Any]] = {
    "watermark": lambda store: store.watermark("events"),
    "advance": lambda store: store.advance("events", 1),
    "unknown_events": lambda store: store.unknown_events({"evt_1": 1}),
    "due_orders": lambda store: store.due_orders(RULES, after=0, until=1, limit=1),
    "due_waiting": lambda store: store.due_waiting((1,), after=0, until=1, limit=1),
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
            await world.first.advance("events", 5)
    assert await world.first.acquire()
    assert await world.first.watermark("events") is None


async def test_each_task_has_its_watermark(world: World) -> None:
    await world.first.acquire()

    await world.first.advance("events", 5)
    await world.first.advance("events", 7)
    await world.first.advance("orders", 6)

    assert [await world.first.watermark(task) for task in ("events", "orders", "waiting")] == [7, 6, None]


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
        return list(await world.first.due_orders(RULES, after=NOW + after, until=NOW + until, limit=10))

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

    found = await world.first.due_orders(RULES, after=NOW + 2_000, until=NOW + 20_000, limit=10)

    assert found == [DueOrder("ord_a", NOW + 10_900, "expiry", ("cs_1",))]


@pytest.mark.parametrize("state", ["unknown", "failed", "cancelled", "expired", "open", "used"])
async def test_an_attempt_without_a_session_is_due_thrice(world: World, state: str) -> None:
    await world.first.acquire()
    world.attempt(LedgerRow("ord_a", state, NOW, NOW + 9_000, "cs_1" if state in {"open", "used"} else None))
    times = []

    for begin in range(NOW, NOW + 12_000, 300):
        found = await world.first.due_orders((), after=begin, until=begin + 300, limit=10)
        times += [order.due_at - NOW for order in found]

    assert times == ([600, 3_600, 9_900] if state in {"unknown", "failed", "cancelled"} else [])


async def test_a_batch_is_limited_in_the_order_of_due_times_but_never_parts_one_second(world: World) -> None:
    await world.first.acquire()
    for name, at in (("ord_d", 3), ("ord_c", 2), ("ord_b", 2), ("ord_a", 1), ("ord_e", 2)):
        world.order(name, "created", NOW + at)

    found = await world.first.due_orders(RULES, after=NOW, until=NOW + 199, limit=2)

    assert [(order.order_id, order.due_at - NOW) for order in found] == [
        ("ord_a", 101),
        ("ord_b", 102),
        ("ord_c", 102),
        ("ord_e", 102),
    ]


async def test_waiting_events_are_due_at_their_ages(world: World) -> None:
    await world.first.acquire()
    world.waits("evt_a", ("pi_1", "re_1"), NOW)
    world.waits("evt_b", ("pi_2",), NOW + 5)

    found = await world.first.due_waiting((60, 300), after=NOW, until=NOW + 100, limit=5)
    later = await world.first.due_waiting((60, 300), after=NOW + 100, until=NOW + 1_000, limit=1)

    assert found == [
        WaitingEvent("evt_a", ("pi_1", "re_1"), NOW + 60),
        WaitingEvent("evt_b", ("pi_2",), NOW + 65),
    ]
    assert later == [WaitingEvent("evt_a", ("pi_1", "re_1"), NOW + 300)]


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


@pytest.mark.stack
async def test_the_report_pages_through_touched_orders_with_every_session_known(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES}"))
    real = Real(engine, None, None)  # type: ignore[arg-type]
    past = NOW - 1_000 * 86_400
    for name, at in (("ord_a", past), ("ord_b", past), ("ord_c", past - 100)):
        real.order(name, "created", at, token=f"cs_{name}")
    real.attempt(LedgerRow("ord_a", "expired", past, past, "cs_earlier"))
    database = Database(database_url, application_name="report", pool_size=1)
    thread = DatabaseThread(database)
    report = PostgresReconcilerReport(thread)

    first = await report.touched(since=past, after="", limit=1)
    rest = await report.touched(since=past, after="ord_a", limit=10)
    stuck = await report.stuck({"created": 60}, limit=2)

    assert [(order.order_id, order.session_ids, order.facts) for order in first] == [
        ("ord_a", ("cs_earlier", "cs_ord_a"), {})
    ]
    assert [order.order_id for order in rest] == ["ord_b"]
    assert stuck[0] == StuckOrder("ord_c", "created", past - 100)
    assert len(stuck) == 2
    thread.close()
    database.dispose()
    engine.dispose()
