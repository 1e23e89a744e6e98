"""Waiting for an order to change: nothing missed, nothing endless."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.order_row import OrderRow
from payonce.ports import StoreUnavailable
from services.checkout_api.waiting import REREAD_SECONDS, Orders
from tests.fakes.checkout_api import row
from tests.fakes.order_reads import FakeOrders
from tests.fakes.virtual_clock import START, VirtualClock

ORDER_ID = row("created").order_id


def is_registered(order: OrderRow | None) -> bool:
    return order is not None and order.status == "registered"


class ChangesBehindTheRead(FakeOrders):
    """The row changes right after it was read, before the reader gets to wait."""

    async def order(self, order_id: str) -> OrderRow | None:
        found = await super().order(order_id)
        if self.reads == 1:
            self.put(row("registered"))
        return found


async def test_a_change_between_reading_and_waiting_is_not_missed() -> None:
    """The waiter is registered before the first read, so the word of the change is waiting for it."""
    source, clock = ChangesBehindTheRead(), VirtualClock()

    found = await Orders(source, source, clock).when(ORDER_ID, is_registered, seconds=30)

    assert is_registered(found)
    assert clock.now() == START


@given(
    changes=st.lists(
        st.tuples(st.floats(0.1, 20), st.sampled_from(["created", "registered", "away", "back"]), st.booleans()),
        max_size=8,
    ),
    seconds=st.floats(0.5, 10),
)
def test_whatever_happens_meanwhile_the_wait_ends_in_time_with_the_truth(
    changes: list[tuple[float, str, bool]], seconds: float
) -> None:
    """Seen at most one re-read after it happened, even if its word was lost; answered at the deadline at the latest."""
    source, clock = FakeOrders(), VirtualClock()

    def happen(what: str, *, silently: bool) -> None:
        if what in {"away", "back"}:
            source.healthy = what == "back"
        else:
            source.put(row(what), silently=silently)

    for moment, what, silently in changes:
        clock.later(moment, partial(happen, what, silently=silently))
    try:
        found = asyncio.run(Orders(source, source, clock).when(ORDER_ID, is_registered, seconds=seconds))
    except StoreUnavailable:
        assert not source.healthy
        assert clock.now() >= START + seconds
    else:
        assert found == source.rows.get(ORDER_ID)
        assert is_registered(found) or clock.now() >= START + seconds
    assert clock.now() <= START + seconds + REREAD_SECONDS
    assert not any(source.waiters.values())


async def test_who_finds_no_seat_is_answered_at_once_with_what_is_known() -> None:
    source, clock = FakeOrders(), VirtualClock()
    source.put(row("created"))
    orders = Orders(source, source, clock, seats=0)

    found = await orders.when(ORDER_ID, is_registered, seconds=30)

    assert found == row("created")
    assert clock.now() == START


async def test_without_a_seat_and_without_postgresql_it_says_so_at_once() -> None:
    source, clock = FakeOrders(), VirtualClock()
    source.answers = False

    with pytest.raises(StoreUnavailable):
        await Orders(source, source, clock, seats=0).when(ORDER_ID, is_registered, seconds=30)

    assert clock.now() == START


async def test_a_wait_that_is_abandoned_leaves_nothing_behind() -> None:
    source = FakeOrders()
    orders = Orders(source, source, NeverMoves(), seats=1)

    waiting = asyncio.create_task(orders.when(ORDER_ID, is_registered, seconds=30))
    while not any(source.waiters.values()):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait((waiting,))

    assert not any(source.waiters.values())
    assert len(asyncio.all_tasks()) == 1


class NeverMoves(VirtualClock):
    """A clock in whose sleep nobody wakes up."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()
