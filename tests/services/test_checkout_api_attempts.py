"""Another attempt at an order: when there may be one, and what is sent."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from payonce.domain.commands import RegisterPayment
from payonce.domain.terms import body_hash_of
from tests.fakes.attempt_requests import CLOSED, ORDER_ID, PATH, command_in, fold, send
from tests.fakes.checkout_api import LIFETIME, PAGE, World, folded, kind, terms
from tests.fakes.order_messages import commanded, expired, issued, processing, rejected, session_paid, stuck
from tests.fakes.virtual_clock import START


@pytest.mark.parametrize("status", CLOSED)
async def test_after_an_attempt_that_cannot_be_paid_any_more_the_next_one_is_commanded(status: str) -> None:
    world = folded(*CLOSED[status])
    assert world.orders.rows[ORDER_ID].status == status

    answer = await send(world, "attempts", {"attempt": 2})

    assert answer.status_code == 202
    command = command_in(world.producer.records[0])
    assert isinstance(command, RegisterPayment)
    assert (command.attempt, command.terms, command.body_hash) == (2, terms(), body_hash_of(terms()))
    assert (command.issued_at, command.expires_at) == (int(START), int(START) + LIFETIME)
    assert world.producer.records[0].key == ORDER_ID.encode()
    document = answer.json()
    assert (document["status"], document["attempt"], document["hosted_page_url"]) == ("created", 2, None)
    assert document["checkout_url"] == world.links.checkout(ORDER_ID, body_hash_of(terms()))
    assert document["created_at"] == world.orders.rows[ORDER_ID].created_at
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["location"].endswith(PATH)


async def test_the_checkout_link_stays_the_same_over_attempts() -> None:
    world = World()
    first = (await world.post()).json()
    world.archive.fold(*CLOSED["expired"])

    second = (await send(world, "attempts", {"attempt": 2})).json()

    assert second["checkout_url"] == first["checkout_url"]


async def test_the_same_attempt_again_is_the_same_command() -> None:
    world = folded(*CLOSED["expired"])

    answers = [await send(world, "attempts", {"attempt": 2}) for _ in range(2)]
    world.archive.fold(commanded(2))
    answers.append(await send(world, "attempts", {"attempt": 2}))

    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert len({command_in(record) for record in world.producer.records}) == 1


@pytest.mark.parametrize("later", [[], [expired(2)], [session_paid(2)]])
async def test_an_attempt_that_is_known_is_answered_with_its_status_and_not_sent_again(later: list[Any]) -> None:
    world = folded(*CLOSED["expired"], commanded(2), issued(2), *later)

    answer = await send(world, "attempts", {"attempt": 2})

    assert answer.status_code == 200
    assert answer.json()["status"] == world.orders.rows[ORDER_ID].status
    assert world.producer.records == []


async def test_who_waits_for_an_attempt_gets_its_page() -> None:
    world = folded(*CLOSED["expired"])
    world.clock.later(2.5, partial(fold, world, commanded(2), issued(2)))

    answer = await send(world, "attempts", {"attempt": 2}, prefer="wait=10")

    assert answer.status_code == 201
    assert (answer.json()["hosted_page_url"], answer.json()["attempt"]) == (PAGE, 2)
    assert answer.headers["preference-applied"] == "wait=10"
    assert world.clock.now() - START < 3.5


async def test_who_waits_for_an_attempt_that_is_rejected_hears_why_and_which_is_next() -> None:
    world = folded(*CLOSED["expired"])
    world.clock.later(1.5, partial(fold, world, commanded(2), rejected(2, "previous_unresolved")))

    answer = await send(world, "attempts", {"attempt": 2}, prefer="wait=10")
    again = await send(world, "attempts", {"attempt": 2})
    after = await send(world, "attempts", {"attempt": 3})

    assert (answer.status_code, kind(answer)) == (409, "attempt_rejected")
    assert "the next is 3" in answer.json()["detail"]
    assert world.clock.now() - START < 3
    assert (again.status_code, after.status_code) == (409, 202)


async def test_a_rejection_that_took_no_number_leaves_it_to_be_asked_again() -> None:
    world = folded(*CLOSED["expired"], commanded(2), rejected(2, "attempt_out_of_order"))

    assert (await send(world, "attempts", {"attempt": 2})).status_code == 202


async def test_who_waits_in_vain_is_told_202() -> None:
    world = folded(*CLOSED["expired"])

    answer = await send(world, "attempts", {"attempt": 2}, prefer="wait=5")

    assert (answer.status_code, answer.json()["status"]) == (202, "created")
    assert world.clock.now() - START == 5


async def test_postgresql_that_goes_away_while_waiting_takes_nothing_back() -> None:
    world = folded(*CLOSED["expired"])
    world.clock.later(1, lambda: setattr(world.orders, "healthy", False))

    answer = await send(world, "attempts", {"attempt": 2}, prefer="wait=5")

    assert (answer.status_code, len(world.producer.records)) == (202, 1)


@pytest.mark.parametrize("number", [1, 3, 7])
async def test_another_number_is_refused_and_the_next_one_named(number: int) -> None:
    world = folded(*CLOSED["expired"])

    answer = await send(world, "attempts", {"attempt": number})

    assert (answer.status_code, kind(answer)) == (409, "wrong_attempt")
    assert answer.json()["detail"].endswith("that is 2")
    assert world.producer.records == []


@pytest.mark.parametrize(
    ("messages", "problem", "word"),
    [
        ([commanded()], "attempt_open", "created"),
        ([commanded(), stuck()], "attempt_open", "created"),
        ([commanded(), issued()], "attempt_open", "registered"),
        ([commanded(), issued(), processing()], "order_used", "processing"),
        ([commanded(), issued(), session_paid()], "order_used", "paid"),
        ([*CLOSED["expired"], session_paid()], "order_used", "paid"),
    ],
)
async def test_while_an_earlier_attempt_may_be_or_is_paid_there_is_no_other(
    messages: list[Any], problem: str, word: str
) -> None:
    world = folded(*messages)

    answer = await send(world, "attempts", {"attempt": 2})

    assert (answer.status_code, kind(answer)) == (409, problem)
    assert word in answer.json()["detail"]
    assert world.producer.records == []


async def test_terms_that_are_not_known_yet_are_waited_for() -> None:
    """A later attempt's events may be folded before its command: then its body is not known."""
    world = folded(*CLOSED["expired"], issued(2, body_hash="v1:" + "f" * 64), expired(2))

    answer = await send(world, "attempts", {"attempt": 3})

    assert (answer.status_code, kind(answer)) == (409, "terms_unknown")
    assert "retry-after" in answer.headers


@pytest.mark.parametrize(
    "body", [None, {}, {"attempt": "2"}, {"attempt": 0}, {"attempt": 10**9}, {"attempt": 2, "x": 1}]
)
async def test_a_wrong_body_is_named(body: object) -> None:
    world = folded(*CLOSED["expired"])

    assert (await send(world, "attempts", body)).status_code == 422
    assert world.producer.records == []
