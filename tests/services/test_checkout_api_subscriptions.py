"""RECC: placed as it is posted, and shown with how often it is billed."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.codec import decode
from payonce.domain.commands import RegisterPayment
from payonce.domain.terms import Recurring, body_hash_of
from payonce.ports import OutgoingRecord, Record
from tests.fakes.checkout_api import World, terms
from tests.fakes.subscription_messages import ORDER_ID, subscribed

MONTHLY = {"interval": "month"}
ORDER = f"/v1/payment-orders/{ORDER_ID}"


def message_in(record: OutgoingRecord) -> object:
    return decode(Record(record.topic, 0, 0, record.key, record.value, record.headers))


@pytest.mark.parametrize(
    ("posted", "expected"),
    [
        (MONTHLY, Recurring("month")),
        ({"interval": "month", "interval_count": 36}, Recurring("month", 36)),
        ({"interval": "year", "interval_count": 3, "trial_days": 730}, Recurring("year", 3, 730)),
        ({"interval": "week", "interval_count": 156, "trial_days": None}, Recurring("week", 156)),
        ({"interval": "day", "interval_count": 1095, "trial_days": 1}, Recurring("day", 1095, 1)),
    ],
)
@pytest.mark.parametrize("method", ["APM", "CARD"])
async def test_a_subscription_is_in_the_log_as_it_was_posted(
    posted: dict[str, object], expected: Recurring, method: str
) -> None:
    world = World()

    answer = await world.post(payment_type="RECC", payment_method=method, recurring=posted)

    assert answer.status_code == 202
    command = message_in(world.producer.records[0])
    assert isinstance(command, RegisterPayment)
    assert command.terms == terms(payment_type="RECC", payment_method=method, recurring=expected)
    assert command.body_hash == body_hash_of(command.terms)
    shown = answer.json()["recurring"]
    assert shown == {
        "interval": expected.interval,
        "interval_count": expected.interval_count,
        "trial_days": expected.trial_days,
    }


async def test_what_is_left_out_is_the_same_body_as_what_is_said() -> None:
    world = World()

    for recurring in (MONTHLY, {"interval": "month", "interval_count": 1, "trial_days": None}):
        await world.post(payment_type="RECC", recurring=recurring)

    first, second = (message_in(record) for record in world.producer.records)
    assert first == second


async def test_how_often_it_is_billed_is_shown_with_the_order() -> None:
    world = subscribed()
    expected = {"interval": "month", "interval_count": 1, "trial_days": None}

    again = await world.post(payment_type="RECC", recurring=MONTHLY)

    assert (again.status_code, again.json()["recurring"]) == (200, expected)
    assert (await world.get(ORDER)).json()["recurring"] == expected


async def test_a_sale_has_no_recurring() -> None:
    assert (await World().post()).json()["recurring"] is None


@pytest.mark.parametrize(
    "changes",
    [{"recurring": {"interval": "week"}}, {"recurring": {"interval": "month", "trial_days": 3}}],
    ids=["interval", "trial"],
)
async def test_the_same_reference_billed_otherwise_is_a_conflict_that_names_it(changes: dict[str, Any]) -> None:
    world = subscribed()

    answer = await world.post(payment_type="RECC", **changes)

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:payonce:problem:reference_conflict")
    assert [error["field"] for error in answer.json()["errors"]] == ["recurring"]
