"""Overdue orders: when each is asked after, never twice for one due time, never faster than the bound."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.codec import decode
from payonce.domain.commands import RefreshPayment
from payonce.ports import PublishFailed
from services.reconciler.overdue_orders import ORDERS_TASK, OverdueOrders
from services.reconciler.rules import HORIZON_SECONDS, WATCHED, doubling, due_rules
from tests.fakes.clock import START, LoopClock, simulated
from tests.fakes.log import as_read
from tests.fakes.reconciler import FakeReconcilerStore, LedgerRow, OrderState, ReconcilerTables, SteppedLog

NOW = int(START)
HOUR, DAY = 3_600, 86_400


def order_id(number: int = 0) -> str:
    return "ord_" + "abcdefghij"[number % 10] * 20 + "abcdefghij"[number // 10 % 10] * 6


@dataclass
class World:
    tables: ReconcilerTables = field(default_factory=ReconcilerTables)
    log: SteppedLog = field(default_factory=SteppedLog)
    limit: int = 100

    def process(self) -> OverdueOrders:
        """A new process that holds the lock."""
        store = FakeReconcilerStore(self.tables)
        self.tables.holder = store
        return OverdueOrders(
            store, self.log, LoopClock(), rules=due_rules({}), limit=self.limit, api_version="2026-10-28.endive"
        )

    def asked(self) -> list[RefreshPayment]:
        messages = [decode(as_read(record)) for record in self.log.records]
        return [message for message in messages if isinstance(message, RefreshPayment)]


async def for_a_while(world: World, seconds: int, every: int = 60) -> list[tuple[int, str]]:
    """Do rounds in one process; return when which order was asked after."""
    process, clock, asked = world.process(), LoopClock(), []
    for _ in range(0, seconds, every):
        before = len(world.log.records)
        await process.run_once()
        asked += [(int(clock.now()), command.order_id) for command in world.asked()[before:]]
        await asyncio.sleep(every)
    return asked


@pytest.mark.parametrize(
    ("status", "first"),
    [("created", 600), ("registered", HOUR), ("processing", HOUR), ("disputed", DAY), ("past_due", DAY)],
)
def test_an_order_that_stays_unfinished_is_asked_after_at_its_status_s_age_and_then_ever_later(
    status: str, first: int
) -> None:
    world = World()
    world.tables.orders[order_id()] = OrderState(status, NOW, psp_token="cs_1")
    world.tables.watermarks[ORDERS_TASK] = NOW

    asked = simulated(for_a_while(world, 5 * first, every=first // 10))

    assert [at - NOW for at, _ in asked] == [first, 2 * first, 4 * first]
    assert {command.psp_ids for command in world.asked()} == {("cs_1",)}


@pytest.mark.parametrize("status", ["paid", "expired", "failed", "cancelled", "refunded", "active", "ended"])
def test_a_finished_order_is_left_alone(status: str) -> None:
    world = World()
    world.tables.orders[order_id()] = OrderState(status, NOW - 10 * DAY)

    simulated(world.process().run_once())

    assert world.log.records == []


def test_a_page_past_its_expiry_is_asked_after_a_quarter_of_an_hour_later() -> None:
    world = World()
    world.tables.orders[order_id()] = OrderState("registered", NOW - 60, "cs_1", page_expires_at=NOW)
    world.tables.watermarks[ORDERS_TASK] = NOW

    asked = simulated(for_a_while(world, 2_000))

    assert [at - NOW for at, _ in asked] == [900]
    assert world.asked()[0].reason == "reconciler: expiry"


@pytest.mark.parametrize("state", ["failed", "unknown", "cancelled"])
def test_a_session_that_may_be_born_late_is_looked_for_after_ten_minutes_an_hour_and_its_expiry(state: str) -> None:
    """The PSP announces no creation: only by asking is such a session found, and expired."""
    world = World()
    world.tables.orders[order_id()] = OrderState("registration_failed", NOW)
    world.tables.ledger.append(LedgerRow(order_id(), state, NOW, NOW + 2 * HOUR))
    world.tables.watermarks[ORDERS_TASK] = NOW

    asked = simulated(for_a_while(world, 3 * HOUR))

    assert [at - NOW for at, _ in asked] == [600, HOUR, 2 * HOUR + 900]


@pytest.mark.parametrize(
    "row", [LedgerRow(order_id(), "expired", NOW, NOW), LedgerRow(order_id(), "open", NOW, NOW, "cs_1")]
)
def test_attempts_that_need_no_second_look_are_left_alone(row: LedgerRow) -> None:
    world = World()
    world.tables.ledger.append(row)

    assert simulated(for_a_while(world, 2 * HOUR, every=600)) == []


def test_at_the_first_start_an_order_long_overdue_is_asked_after_once() -> None:
    world = World()
    world.tables.orders[order_id()] = OrderState("created", NOW - 5 * DAY)

    asked = simulated(for_a_while(world, HOUR))

    assert [at - NOW for at, _ in asked] == [0]


def test_after_an_absence_each_order_is_asked_after_once_at_its_latest_due_time() -> None:
    world = World()
    world.tables.orders[order_id()] = OrderState("created", NOW - 3_000)
    world.tables.watermarks[ORDERS_TASK] = NOW - 2_900

    simulated(world.process().run_once())

    [command] = world.asked()
    assert command.issued_at == NOW - 3_000 + 2_400


def test_a_crash_before_the_watermark_moves_repeats_the_very_same_command() -> None:
    world = World()
    world.tables.orders[order_id()] = OrderState("created", NOW - 700)

    async def crash_and_come_back() -> None:
        process = world.process()

        def step(name: str) -> None:
            if name == "advance":
                raise PublishFailed("the process ends here")

        process._store.step = step  # type: ignore[attr-defined]
        with pytest.raises(PublishFailed):
            await process.run_once()
        await asyncio.sleep(45)
        await world.process().run_once()
        await world.process().run_once()

    simulated(crash_and_come_back())

    first, second = world.asked()
    assert first == second


def test_a_command_that_could_not_be_published_is_published_in_the_next_round() -> None:
    world = World()
    for number in range(3):
        world.tables.orders[order_id(number)] = OrderState("created", NOW - 700)
    failures = iter([True])

    def step(_name: str) -> None:
        if next(failures, False):
            raise PublishFailed("no report")

    async def rounds() -> None:
        world.log.step = step
        process = world.process()
        with pytest.raises(PublishFailed):
            await process.run_once()
        assert ORDERS_TASK not in world.tables.watermarks
        await process.run_once()

    simulated(rounds())

    assert {command.order_id for command in world.asked()} == set(world.tables.orders)


@given(
    ages=st.lists(st.integers(601, 1_190), min_size=1, max_size=40),
    limit=st.integers(1, 7),
)
def test_a_backlog_is_worked_off_in_bounded_rounds_and_each_order_asked_after_once(ages: list[int], limit: int) -> None:
    """No order starves and none is asked twice; only those due in the same second may exceed the bound."""
    world = World(limit=limit)
    for number, age in enumerate(ages):
        world.tables.orders[order_id(number)] = OrderState("created", NOW - age)
    sizes = []

    async def rounds() -> None:
        process = world.process()
        for _ in range(len(ages) + 1):
            before = len(world.log.records)
            await process.run_once()
            sizes.append(len(world.log.records) - before)

    simulated(rounds())

    assert sorted(command.order_id for command in world.asked()) == sorted(world.tables.orders)
    most_at_once = max(ages.count(age) for age in ages)
    assert max(sizes) < limit + most_at_once
    assert world.tables.watermarks[ORDERS_TASK] == NOW


def test_a_watermark_in_the_future_does_not_silence_the_reconciler() -> None:
    """A clock that ran ahead and was put right."""
    world = World()
    world.tables.watermarks[ORDERS_TASK] = NOW + 10 * DAY
    world.tables.orders[order_id()] = OrderState("created", NOW)

    asked = simulated(for_a_while(world, 900))

    assert [at - NOW for at, _ in asked] == [600]


def test_a_status_s_first_age_can_be_set() -> None:
    [rule] = [rule for rule in due_rules({"registered": 7}) if rule.status == "registered"]

    assert rule.ages[:3] == (7, 14, 28)
    assert {rule.status for rule in due_rules({})} == set(WATCHED)


@given(first=st.integers(1, DAY))
def test_ages_double_up_to_the_horizon(first: int) -> None:
    ages = doubling(first)

    assert ages[0] == first
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(ages))
    assert ages[-1] <= HORIZON_SECONDS < 2 * ages[-1]
