"""The two lines of overdue orders: what is lost goes first, and what is slow has its share of the rate all the same."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from payonce.ports import Mark
from services.reconciler.overdue_orders import ORDERS_TASK, SLOW_ORDERS_TASK
from services.reconciler.rate import Share
from tests.fakes.clock import simulated
from tests.fakes.overdue_orders import HOUR, NOW, World, order_id
from tests.fakes.reconciler import OrderState

LINES = (ORDERS_TASK, SLOW_ORDERS_TASK)


def test_a_lost_order_passes_every_one_that_is_only_slow() -> None:
    """Ten hours of delayed debits are behind; the one without any outcome is asked after at once, then they are."""
    world = World(per_second=10)
    for number in range(1, 60):
        world.tables.orders[order_id(number)] = OrderState("processing", NOW - 10 * HOUR - number)
    world.tables.orders[order_id(0)] = OrderState("created", NOW - 601)

    async def rounds() -> None:
        process = world.process()
        await process.run_once()
        assert world.asked()[0].order_id == order_id(0)
        assert len(world.asked()) == 10
        assert world.tables.watermarks[ORDERS_TASK] == Mark(NOW)
        assert world.tables.watermarks[SLOW_ORDERS_TASK] < Mark(NOW)
        for _ in range(5):
            await asyncio.sleep(1)
            await process.run_once()

    simulated(rounds())

    assert {command.order_id for command in world.asked()} == set(world.tables.orders)


def test_what_is_not_asked_after_in_a_round_is_told_as_lag() -> None:
    world = World(per_second=3)
    for number in range(1, 9):
        world.tables.orders[order_id(number)] = OrderState("created", NOW - 700)
    world.tables.orders[order_id(0)] = OrderState("processing", NOW - HOUR - 5)
    world.begins_at(NOW - 1_000)

    simulated(world.process().run_once())

    lag = {task: REGISTRY.get_sample_value("payonce_reconciler_lag_seconds", {"task": task}) for task in LINES}
    assert (len(world.asked()), lag) == (3, {ORDERS_TASK: 101, SLOW_ORDERS_TASK: 1_000})
    assert world.tables.watermarks[SLOW_ORDERS_TASK] == Mark(NOW - 1_000)


@pytest.mark.parametrize("per_second", [1, 3, 8])
def test_however_many_are_lost_a_quarter_of_the_rate_is_for_the_slow_ones(per_second: int) -> None:
    """Forty rounds in which more are lost than are asked after: a debit and a dispute must not wait till that ends."""
    world = World(per_second=per_second)
    for number in range(50):
        world.tables.orders[order_id(number)] = OrderState("processing", NOW - 2 * HOUR)
    for number in range(50, 100):
        world.tables.orders[order_id(number)] = OrderState("created", NOW - 700)
    rounds = 40 // per_second

    simulated(_rounds(world, rounds))

    asked = [world.tables.orders[command.order_id].status for command in world.asked()]
    assert len(asked) == per_second * rounds
    assert asked.count("processing") == per_second * rounds // 4


@pytest.mark.parametrize(("status", "age"), [("created", 700), ("processing", HOUR + 5)])
def test_what_one_line_does_not_need_is_the_others(status: str, age: int) -> None:
    world = World(per_second=8)
    for number in range(80):
        world.tables.orders[order_id(number)] = OrderState(status, NOW - age)

    simulated(_rounds(world, 10))

    assert {command.order_id for command in world.asked()} == set(world.tables.orders)
    assert [world.tables.watermarks[task] > Mark(NOW - 600) for task in LINES] == [True, True]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30))
def test_a_share_of_allowances_of_any_size_is_a_quarter_of_their_sum(allowances: list[int]) -> None:
    share = Share(one_in=4)
    kept = 0

    for allowance in allowances:
        kept += share.of(allowance)
        share.used(allowance, asked=share.of(allowance), are_all=False)

    assert kept == sum(allowances) // 4


def test_a_share_that_nobody_needed_is_not_saved_up() -> None:
    share = Share(one_in=4)

    for _ in range(100):
        share.used(3, asked=0, are_all=True)

    assert share.of(4) == 1


def test_a_share_that_was_exceeded_is_no_debt() -> None:
    """What the lost ones left was theirs to take."""
    share = Share(one_in=4)

    share.used(100, asked=100, are_all=False)

    assert share.of(4) == 1


async def _rounds(world: World, rounds: int) -> None:
    process = world.process()
    for _ in range(rounds):
        await process.run_once()
        await asyncio.sleep(1)
