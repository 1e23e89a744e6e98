"""Overdue orders: when each is asked after, never twice for one due time, never faster than the bound."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.proofs import SCAN_PROOF
from payonce.ports import Mark, PublishFailed
from services.reconciler.overdue_orders import ORDERS_TASK
from services.reconciler.rate import LONGEST_SECONDS, Rate
from tests.fakes.clock import LoopClock, simulated
from tests.fakes.overdue_orders import DAY, HOUR, NOW, World, for_a_while, order_id
from tests.fakes.reconciler import LedgerRow, OrderState


@pytest.mark.parametrize(
    ("status", "first"),
    [("created", 600), ("processing", HOUR), ("disputed", DAY), ("past_due", DAY), ("unpaid", DAY)],
)
def test_an_order_that_stays_unfinished_is_asked_after_at_its_status_s_age_and_then_ever_later(
    status: str, first: int
) -> None:
    world = World()
    world.tables.orders[order_id()] = OrderState(status, NOW, psp_token="cs_1")
    world.begins_at(NOW)

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
    world.begins_at(NOW)

    asked = simulated(for_a_while(world, 2_000))

    assert [at - NOW for at, _ in asked] == [900]
    assert world.asked()[0].reason == "reconciler: expiry"


def test_a_page_that_is_still_open_is_nobodys_business() -> None:
    """Most are left alone till they close: asking after each of them would keep those waiting that are lost."""
    world = World()
    world.tables.orders[order_id()] = OrderState("registered", NOW, "cs_1", page_expires_at=NOW + DAY)
    world.begins_at(NOW)

    assert simulated(for_a_while(world, DAY, every=600)) == []


def test_a_status_that_is_set_to_be_asked_after_is_asked_after() -> None:
    world = World(asks_after={"registered": 300})
    world.tables.orders[order_id()] = OrderState("registered", NOW, "cs_1", page_expires_at=NOW + DAY)
    world.begins_at(NOW)

    asked = simulated(for_a_while(world, 700))

    assert [at - NOW for at, _ in asked] == [300, 600]


def test_a_long_round_is_made_up_for_but_not_a_long_absence() -> None:
    """The rate holds whatever the other tasks of a round take; an outage must not flood the workers."""
    allowances = []

    async def rounds() -> None:
        rate = Rate(LoopClock(), per_second=0.5, first_seconds=60)
        for seconds in (0, 0, 200, 0, 100_000):
            await asyncio.sleep(seconds)
            allowances.append(rate.allowance())
            rate.spent()

    simulated(rounds())

    assert allowances == [30, 1, 100, 1, LONGEST_SECONDS / 2]


@pytest.mark.parametrize(
    ("state", "proof"), [("failed", f"{SCAN_PROOF}60 s after the last try"), ("unknown", None), ("cancelled", None)]
)
def test_a_session_that_may_be_born_late_is_looked_for_after_ten_minutes_an_hour_and_its_expiry(
    state: str, proof: str | None
) -> None:
    """The PSP announces no creation: only by asking is such a session found, and expired."""
    world = World()
    world.tables.orders[order_id()] = OrderState("registration_failed", NOW)
    world.tables.ledger.append(LedgerRow(order_id(), state, NOW, NOW + 2 * HOUR, proof=proof))
    world.begins_at(NOW)

    asked = simulated(for_a_while(world, 3 * HOUR))

    assert [at - NOW for at, _ in asked] == [600, HOUR, 2 * HOUR + 900]


@pytest.mark.parametrize(
    "row",
    [
        LedgerRow(order_id(), "expired", NOW, NOW),
        LedgerRow(order_id(), "open", NOW, NOW, "cs_1"),
        LedgerRow(order_id(), "failed", NOW, NOW, proof="HTTP 400 to the first request with this key, request req_1"),
    ],
    ids=lambda row: row.state,
)
def test_attempts_that_need_no_second_look_are_left_alone(row: LedgerRow) -> None:
    """What the PSP has refused is proven for good: there are many such orders where a shop sends what it refuses."""
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
    world.begins_at(NOW - 2_900)

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
    ages=st.lists(st.integers(601, 1_100), min_size=1, max_size=40),
    limit=st.integers(1, 7),
)
def test_a_backlog_is_worked_off_in_bounded_rounds_and_each_order_asked_after_once(ages: list[int], limit: int) -> None:
    """No order starves and none is asked twice, however many are due in one second."""
    world = World(per_second=limit)
    for number, age in enumerate(ages):
        world.tables.orders[order_id(number)] = OrderState("created", NOW - age)
    sizes = []

    async def rounds() -> None:
        process = world.process()
        for _ in range(len(ages) + 1):
            before = len(world.log.records)
            await process.run_once()
            sizes.append(len(world.log.records) - before)
            await asyncio.sleep(1)

    simulated(rounds())

    assert sorted(command.order_id for command in world.asked()) == sorted(world.tables.orders)
    assert max(sizes) <= limit
    assert world.tables.watermarks[ORDERS_TASK] == Mark(NOW + len(ages))


def test_a_watermark_in_the_future_does_not_silence_the_reconciler() -> None:
    """A clock that ran ahead and was put right."""
    world = World()
    world.begins_at(NOW + 10 * DAY)
    world.tables.orders[order_id()] = OrderState("created", NOW)

    asked = simulated(for_a_while(world, 900))

    assert [at - NOW for at, _ in asked] == [600]
