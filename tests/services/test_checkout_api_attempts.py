"""Another attempt at an order, and the end of one: who may, when, and what is sent."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest

from payonce.codec import decode
from payonce.domain.commands import CancelPayment, Command, RegisterPayment
from payonce.domain.events import PspEvent
from payonce.domain.order_row import OrderRow
from payonce.domain.terms import body_hash_of, order_id_of
from payonce.ports import OutgoingRecord, Record
from tests.fakes.checkout_api import LIFETIME, OTHER_KEY, PAGE, READER_KEY, World, row, terms
from tests.fakes.order_messages import (
    cancelled,
    commanded,
    expired,
    failed_later,
    issued,
    processing,
    refused,
    rejected,
    session_paid,
    stuck,
)
from tests.fakes.virtual_clock import START

ORDER_ID = order_id_of("shop", "A-1")
PATH = f"/v1/payment-orders/{ORDER_ID}"
CLOSED: dict[str, list[Any]] = {
    "expired": [commanded(), issued(), expired()],
    "cancelled": [commanded(), issued(), cancelled()],
    "registration_failed": [commanded(), refused()],
    "failed": [commanded(), issued(), failed_later()],
}


async def send(
    world: World, verb: str, body: object = None, *, key: str | None = None, prefer: str | None = None
) -> httpx.Response:
    headers = {"Prefer": prefer} if prefer else {}
    async with world.caller(key) if key else world.caller() as caller:
        return await caller.post(f"{PATH}/{verb}", json=body, headers=headers)


def command_in(record: OutgoingRecord) -> Command:
    message = decode(Record(record.topic, 0, 0, record.key, record.value, record.headers))
    assert isinstance(message, Command)
    return message


def kind(answer: httpx.Response) -> str:
    """The kind of the problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).removeprefix("urn:payonce:problem:")


def fold(world: World, *messages: Any) -> None:
    world.archive.fold(*messages)


def folded(*messages: Any) -> World:
    world = World()
    world.archive.fold(*messages)
    return world


# ------------------------------------------------------------------------------------------- attempts


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


# --------------------------------------------------------------------------------------- cancellation


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


# --------------------------------------------------------------------------------------------- both

BOTH = pytest.mark.parametrize(("verb", "body"), [("attempts", {"attempt": 2}), ("cancel", None)])
READY: dict[str, list[Any]] = {"attempts": CLOSED["expired"], "cancel": [commanded(), issued()]}


@BOTH
async def test_an_order_that_is_unknown_or_another_clients_is_404(verb: str, body: object) -> None:
    world = World()
    unknown = await send(world, verb, body)
    world.archive.fold(*READY[verb])
    theirs = await send(world, verb, body, key=OTHER_KEY)

    assert (unknown.status_code, theirs.status_code) == (404, 404)
    assert unknown.json() == theirs.json()
    assert world.producer.records == []


@BOTH
async def test_without_the_scope_it_is_403(verb: str, body: object) -> None:
    assert (await send(folded(*READY[verb]), verb, body, key=READER_KEY)).status_code == 403


@BOTH
async def test_postgresql_away_is_503_for_the_order_cannot_be_judged(verb: str, body: object) -> None:
    world = folded(*READY[verb])
    world.orders.answers = False
    silent = await send(world, verb, body)
    world.orders.healthy = False
    away = await send(world, verb, body)

    assert (silent.status_code, away.status_code) == (503, 503)
    assert "retry-after" in away.headers
    assert world.producer.records == []


@BOTH
@pytest.mark.parametrize("state", ["refusing", "silent"])
async def test_kafka_away_is_503_and_the_same_request_succeeds_afterwards(verb: str, body: object, state: Any) -> None:
    world = folded(*READY[verb])
    world.producer.state = state
    refused_answer = await send(world, verb, body, prefer="wait=5")
    world.producer.state = "up"

    assert (refused_answer.status_code, kind(refused_answer)) == (503, "temporarily_unavailable")
    assert (await send(world, verb, body)).status_code == 202
    assert len(world.producer.records) == 1


@pytest.mark.parametrize(
    "body", [None, {}, {"attempt": "2"}, {"attempt": 0}, {"attempt": 10**9}, {"attempt": 2, "x": 1}]
)
async def test_a_wrong_body_is_named(body: object) -> None:
    world = folded(*CLOSED["expired"])

    assert (await send(world, "attempts", body)).status_code == 422
    assert world.producer.records == []


def test_the_row_that_these_tests_fold_is_the_one_that_others_put_by_hand() -> None:
    made: OrderRow = folded(commanded(), issued()).orders.rows[ORDER_ID]
    by_hand = row("registered")

    names = ("order_id", "client_id", "reference", "body_hash", "amount", "currency", "status", "hosted_page_url")
    assert [getattr(made, name) for name in names] == [getattr(by_hand, name) for name in names]
