"""The end of an attempt: when it may be cancelled, what is sent, and who waits hears which came first."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from payonce.domain.commands import CancelPayment
from payonce.domain.events import PspEvent
from tests.fakes.attempt_requests import CLOSED, ORDER_ID, command_in, fold, send
from tests.fakes.checkout_api import folded, kind
from tests.fakes.order_messages import cancelled, commanded, expired, issued, processing, session_paid, stuck
from tests.fakes.virtual_clock import START


@pytest.mark.parametrize("body", [None, {}, {"attempt": None}, {"attempt": 1}])
@pytest.mark.parametrize("messages", [[commanded()], [commanded(), issued()], [commanded(), stuck()]])
async def test_an_attempt_that_may_be_paid_is_cancelled(body: object, messages: list[Any]) -> None:
    world = folded(*messages)

    answer = await send(world, "cancel", body)

    assert answer.status_code == 202
    assert command_in(world.producer.records[0]) == CancelPayment(ORDER_ID, 1, int(START))
    assert answer.json()["id"] == ORDER_ID


async def test_a_cancellation_again_is_the_same_command() -> None:
    world = folded(commanded(), issued())

    answers = [await send(world, "cancel") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({command_in(record).command_id for record in world.producer.records}) == 1


async def test_the_latest_attempt_is_the_one_that_is_cancelled() -> None:
    world = folded(*CLOSED["expired"], commanded(2), issued(2))

    await send(world, "cancel")

    assert command_in(world.producer.records[0]) == CancelPayment(ORDER_ID, 2, int(START))


@pytest.mark.parametrize("status", CLOSED)
async def test_an_attempt_that_nobody_can_pay_any_more_needs_no_cancellation(status: str) -> None:
    world = folded(*CLOSED[status])

    answer = await send(world, "cancel", {"attempt": 1})

    assert (answer.status_code, answer.json()["status"]) == (200, status)
    assert world.producer.records == []


@pytest.mark.parametrize("last", [processing(), session_paid()])
async def test_an_attempt_that_is_paid_or_being_paid_is_not_cancelled(last: PspEvent) -> None:
    world = folded(commanded(), issued(), last)

    answer = await send(world, "cancel")

    assert (answer.status_code, kind(answer)) == (409, "order_used")
    assert world.producer.records == []


async def test_a_later_attempt_can_be_cancelled_although_an_earlier_one_was_paid_after_all() -> None:
    """Nobody shall pay twice: that is when a cancellation is needed most."""
    world = folded(*CLOSED["expired"], commanded(2), issued(2), session_paid(1))
    assert world.orders.rows[ORDER_ID].status == "paid"

    answer = await send(world, "cancel", {"attempt": 2})

    assert answer.status_code == 202


async def test_who_waits_for_a_cancellation_hears_that_it_is_done() -> None:
    world = folded(commanded(), issued())
    world.clock.later(2.5, partial(fold, world, cancelled()))

    answer = await send(world, "cancel", prefer="wait=10")

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer.headers["preference-applied"] == "wait=10"
    assert world.clock.now() - START < 3.5


async def test_the_expiry_that_comes_before_the_cancellation_does_not_end_the_wait() -> None:
    """The worker expires the session, and the PSP's word of that may be the first to be folded."""
    world = folded(commanded(), issued())
    world.clock.later(1, partial(fold, world, expired()))
    world.clock.later(3, partial(fold, world, cancelled()))

    answer = await send(world, "cancel", prefer="wait=10")

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


async def test_an_attempt_that_is_closed_when_the_wait_ends_is_200_all_the_same() -> None:
    world = folded(commanded(), issued())
    world.clock.later(1, partial(fold, world, expired()))

    answer = await send(world, "cancel", prefer="wait=3")

    assert (answer.status_code, answer.json()["status"]) == (200, "expired")


async def test_a_customer_who_pays_before_the_cancellation_wins() -> None:
    world = folded(commanded(), issued())
    world.clock.later(1.5, partial(fold, world, session_paid()))

    answer = await send(world, "cancel", prefer="wait=10")

    assert (answer.status_code, kind(answer)) == (409, "order_used")


async def test_a_cancellation_that_takes_longer_than_the_wait_is_202() -> None:
    world = folded(commanded(), issued())

    answer = await send(world, "cancel", prefer="wait=3")

    assert (answer.status_code, answer.json()["status"]) == (202, "registered")
    assert world.clock.now() - START == 3


async def test_an_attempt_that_is_not_known_cannot_be_cancelled_yet() -> None:
    world = folded(commanded(), issued())

    answer = await send(world, "cancel", {"attempt": 2})

    assert (answer.status_code, kind(answer)) == (409, "unknown_attempt")
    assert "retry-after" in answer.headers
