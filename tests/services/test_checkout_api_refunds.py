"""Money sent back: once per reference, never more than there is, and shown as it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from payonce.codec import decode
from payonce.domain.commands import RefundPayment
from payonce.domain.terms import order_id_of
from payonce.domain.whole_order import AskedRefund
from payonce.ports import OutgoingRecord, Record
from tests.fakes.checkout_api import API_VERSION, OTHER_KEY, READER_KEY, World, folded, kind, terms
from tests.fakes.order_messages import commanded, issued, processing, refunded, session_paid
from tests.fakes.virtual_clock import START

ORDER_ID = order_id_of("shop", "A-1")
ORDER = f"/v1/payment-orders/{ORDER_ID}"
PATH = f"{ORDER}/refunds"
PAID: list[Any] = [commanded(), issued(), session_paid()]
TWICE_PAID: list[Any] = [*PAID, commanded(2), issued(2), session_paid(2)]


async def send(world: World, body: object, *, key: str | None = None) -> httpx.Response:
    async with world.caller(key) if key else world.caller() as caller:
        return await caller.post(PATH, json=body)


def command_in(record: OutgoingRecord) -> RefundPayment:
    message = decode(Record(record.topic, 0, 0, record.key, record.value, record.headers))
    assert isinstance(message, RefundPayment)
    return message


def asked(reference: str, amount: int | None = None, payment: str | None = None, **known: Any) -> AskedRefund:
    """The ledger's row of a refund."""
    command = RefundPayment(ORDER_ID, reference, payment, amount, None, 0, API_VERSION)
    return AskedRefund(reference, command.command_id, payment, amount, asked_at=1_790_000_100, **known)


async def test_a_refund_is_in_the_log_before_202_says_so() -> None:
    world = folded(*PAID)

    answer = await send(world, {"refund_reference": "R-1", "amount": 300, "reason": "one book came late"})

    assert answer.status_code == 202
    expected = RefundPayment(ORDER_ID, "R-1", None, 300, "one book came late", int(START), API_VERSION)
    assert command_in(world.producer.records[0]) == expected
    assert world.producer.records[0].key == ORDER_ID.encode()
    assert answer.json() == {
        "object": "refund",
        "payment_order_id": ORDER_ID,
        "refund_reference": "R-1",
        "status": "pending",
        "payment": "pi_1",
        "amount": 300,
        "currency": "eur",
        "psp_refund_id": None,
        "requested_at": int(START),
        "failure_reason": None,
        "failure_detail": None,
    }


async def test_without_an_amount_all_that_is_left_goes_back() -> None:
    world = folded(*PAID, refunded("re_1", "succeeded", 50))

    answer = await send(world, {"refund_reference": "R-2"})

    assert (answer.status_code, answer.json()["amount"]) == (202, 1000)
    assert command_in(world.producer.records[0]).amount is None


async def test_the_same_refund_again_is_the_same_command_and_then_its_status() -> None:
    world = folded(*PAID)
    body = {"refund_reference": "R-1", "amount": 300}

    first, second = await send(world, body), await send(world, body)
    world.archive.asked[ORDER_ID] = (asked("R-1", 300, refund_id="re_1", taken_amount=300),)
    third = await send(world, body)
    world.archive.fold(refunded("re_1", "succeeded", 300))
    fourth = await send(world, body)

    assert [answer.status_code for answer in (first, second, third, fourth)] == [202, 202, 200, 200]
    assert [answer.json()["status"] for answer in (third, fourth)] == ["pending", "succeeded"]
    assert len({command_in(record).command_id for record in world.producer.records}) == 1
    assert len(world.producer.records) == 2


@pytest.mark.parametrize(("change", "field"), [({"amount": 301}, "amount"), ({"payment": "pi_1"}, "payment")])
async def test_the_same_reference_with_other_terms_is_refused_and_says_what_differs(
    change: dict[str, Any], field: str
) -> None:
    world = folded(*PAID)
    world.archive.asked[ORDER_ID] = (asked("R-1", 300),)

    answer = await send(world, {"refund_reference": "R-1", "amount": 300, **change})

    assert (answer.status_code, kind(answer)) == (409, "refund_reference_conflict")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert world.producer.records == []


@pytest.mark.parametrize(
    ("known", "left"),
    [
        ((), 1050),
        ((asked("R-1", 1000),), 50),
        ((asked("R-1", 1000, failed=True),), 1050),
        ((asked("R-1", None, refund_id="re_9", taken_amount=900),), 150),
    ],
)
async def test_more_than_what_is_left_is_refused_and_says_what_is(known: tuple[AskedRefund, ...], left: int) -> None:
    """What was asked for and is not folded yet counts as gone; what was proven to have failed does not."""
    world = folded(*PAID)
    world.archive.asked[ORDER_ID] = known

    answer = await send(world, {"refund_reference": "R-2", "amount": left + 1})
    fits = await send(world, {"refund_reference": "R-2", "amount": left})

    assert (answer.status_code, kind(answer)) == (409, "amount_too_large")
    assert f"{left} eur" in answer.json()["detail"]
    assert [error["field"] for error in answer.json()["errors"]] == ["amount"]
    assert fits.status_code == 202


@pytest.mark.parametrize(("status", "left"), [("pending", 150), ("succeeded", 150), ("failed", 1050)])
async def test_a_refund_that_failed_at_the_psp_can_be_made_anew(status: str, left: int) -> None:
    world = folded(*PAID, refunded("re_1", status, 900))
    world.archive.asked[ORDER_ID] = (asked("R-1", 900, refund_id="re_1", taken_amount=900),)

    assert (await world.get(ORDER)).json()["payments"][0]["amount_refundable"] == left
    assert (await send(world, {"refund_reference": "R-2", "amount": left})).status_code == 202


async def test_nothing_left_is_said_so() -> None:
    world = folded(*PAID)
    world.archive.asked[ORDER_ID] = (asked("R-1"),)

    answer = await send(world, {"refund_reference": "R-2"})

    assert (answer.status_code, kind(answer)) == (409, "nothing_left")


@pytest.mark.parametrize("messages", [[commanded()], [commanded(), issued()], [commanded(), issued(), processing()]])
async def test_what_is_not_paid_cannot_be_refunded(messages: list[Any]) -> None:
    answer = await send(folded(*messages), {"refund_reference": "R-1"})

    assert (answer.status_code, kind(answer)) == (409, "nothing_paid")


async def test_of_several_payments_one_must_be_named() -> None:
    world = folded(*TWICE_PAID)

    nameless = await send(world, {"refund_reference": "R-1"})
    unknown = await send(world, {"refund_reference": "R-1", "payment": "pi_3"})
    named = await send(world, {"refund_reference": "R-1", "payment": "pi_2"})

    assert (nameless.status_code, kind(nameless)) == (422, "payment_needed")
    assert "pi_1, pi_2" in nameless.json()["detail"]
    assert (unknown.status_code, kind(unknown)) == (422, "unknown_payment")
    assert (named.status_code, named.json()["payment"]) == (202, "pi_2")
    assert command_in(world.producer.records[0]).payment == "pi_2"


async def test_an_amount_that_its_currency_does_not_have_is_named() -> None:
    dinar = terms(currency="kwd", amount=5120)
    metadata = {"order_id": ORDER_ID, "attempt": "1", "body_hash": commanded(posted=dinar).body_hash}
    paid = session_paid(amount=5120)
    paid = replace(paid, object={**paid.object, "currency": "kwd", "metadata": metadata})
    world = folded(commanded(posted=dinar), issued(posted=dinar), paid)

    answer = await send(world, {"refund_reference": "R-1", "amount": 1001})

    assert (answer.status_code, kind(answer)) == (422, "invalid_money")
    assert (await send(world, {"refund_reference": "R-1", "amount": 1000})).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"refund_reference": ""},
        {"refund_reference": "x" * 65},
        {"refund_reference": "nul\x00"},
        {"refund_reference": "R-1", "amount": 0},
        {"refund_reference": "R-1", "amount": -1},
        {"refund_reference": "R-1", "amount": "300"},
        {"refund_reference": "R-1", "amount": 10**13},
        {"refund_reference": "R-1", "payment": ""},
        {"refund_reference": "R-1", "reason": "x" * 501},
        {"refund_reference": "R-1", "surprise": 1},
    ],
)
async def test_a_wrong_body_is_422_and_writes_nothing(body: object) -> None:
    world = folded(*PAID)

    assert (await send(world, body)).status_code == 422
    assert world.producer.records == []


async def test_no_order_has_more_refunds_than_a_document_can_name() -> None:
    world = folded(*PAID)
    world.archive.asked[ORDER_ID] = tuple(asked(f"R-{number}", 1, failed=True) for number in range(200))

    answer = await send(world, {"refund_reference": "R-new", "amount": 1})

    assert (answer.status_code, kind(answer)) == (409, "too_many_refunds")


async def test_refunds_are_shown_as_they_stand_in_the_order_and_on_their_own() -> None:
    world = folded(*PAID, refunded("re_2", "requires_action", 200), refunded("re_1", "failed", 100))
    world.archive.fold(refunded("re_9", "canceled", 5))
    failed = asked("R-3", 700, failed=True, failure_reason="psp_refused", failure_detail="charge disputed")
    taken: dict[str, Any] = {"refund_id": "re_1", "taken_amount": 100}
    world.archive.asked[ORDER_ID] = (asked("R-1", 100, **taken), asked("R-2", 200, refund_id="re_2"), failed)

    shown = (await world.get(PATH)).json()
    document = (await world.get(ORDER)).json()

    assert shown == {"object": "list", "data": document["refunds"], "has_more": False}
    assert [(each["refund_reference"], each["psp_refund_id"], each["status"]) for each in shown["data"]] == [
        ("R-1", "re_1", "failed"),
        ("R-2", "re_2", "pending"),
        ("R-3", None, "failed"),
        (None, "re_9", "failed"),
    ]
    assert shown["data"][2]["failure_reason"] == "psp_refused"
    assert document["payments"] == [
        {
            "payment": "pi_1",
            "attempt": 1,
            "amount": 1050,
            "currency": "eur",
            "amount_refunded": 200,
            "amount_refundable": 850,
            "standing": "counts",
        }
    ]
    assert document["attempts"] == [{"attempt": 1, "status": "paid", "failure_reason": None, "failure_detail": None}]
    assert document["status"] == "partially_refunded"


async def test_an_order_that_is_unknown_or_another_clients_is_404() -> None:
    world = World()
    unknown = await send(world, {"refund_reference": "R-1"})
    world.archive.fold(*PAID)
    theirs = await send(world, {"refund_reference": "R-1"}, key=OTHER_KEY)

    assert (unknown.status_code, theirs.status_code) == (404, 404)
    assert unknown.json() == theirs.json()
    assert (await world.get(PATH, key=OTHER_KEY)).status_code == 404
    assert world.producer.records == []


async def test_without_the_scope_it_is_403() -> None:
    assert (await send(folded(*PAID), {"refund_reference": "R-1"}, key=READER_KEY)).status_code == 403


async def test_postgresql_away_is_503_for_the_order_cannot_be_judged() -> None:
    world = folded(*PAID)
    world.orders.healthy = False

    assert (await send(world, {"refund_reference": "R-1"})).status_code == 503
    assert (await world.get(PATH)).status_code == 503
    assert world.producer.records == []


@pytest.mark.parametrize("state", ["refusing", "silent"])
async def test_kafka_away_is_503_and_the_same_request_succeeds_afterwards(state: Any) -> None:
    world = folded(*PAID)
    world.producer.state = state
    refused = await send(world, {"refund_reference": "R-1"})
    world.producer.state = "up"

    assert (refused.status_code, kind(refused)) == (503, "temporarily_unavailable")
    assert (await send(world, {"refund_reference": "R-1"})).status_code == 202
