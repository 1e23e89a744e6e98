"""The PaymentGateway's suite goes on: card fields, subscriptions and their end, on the fake and on the real gateway."""

from __future__ import annotations

import pytest

from payonce.domain.commands import SubscriptionEnd
from payonce.domain.terms import Recurring
from services.psp_worker.neighbours import order_of
from tests.fakes.psps import VERSION, Psp, failure_of


async def test_card_fields_on_the_shops_page_have_a_secret_and_no_page(psp: Psp) -> None:
    made = await psp.registered(payment_method="CARD")
    session = await psp.gateway.session(made.session_id, api_version=VERSION)

    assert session == made
    assert (made.status, made.hosted_page_url) == ("open", None)
    assert made.client_secret


@pytest.mark.parametrize("recurring", [Recurring("month"), Recurring("week", 2, trial_days=14)])
async def test_a_subscription_is_registered_on_either_page(psp: Psp, recurring: Recurring) -> None:
    on_theirs = await psp.registered(payment_type="RECC", recurring=recurring)
    on_ours = await psp.registered(payment_type="RECC", recurring=recurring, payment_method="CARD")

    assert (on_theirs.hosted_page_url is None, on_ours.hosted_page_url is None) == (False, True)


async def test_a_subscription_carries_our_metadata_and_its_invoice_leads_to_what_paid_it(psp: Psp) -> None:
    """The PaymentIntent itself carries none: a refund and its events are ours through the invoice alone."""
    subscription, session = await psp.subscribed()
    shown = await psp.gateway.object(subscription, api_version=VERSION)
    assert shown is not None
    invoice = await psp.gateway.object(shown.data["latest_invoice"], api_version=VERSION)
    assert invoice is not None
    (link,) = (await psp.gateway.invoice_payments(invoice.data["id"], api_version=VERSION)).objects
    intent = link["payment"]["payment_intent"]
    (same,) = (await psp.gateway.invoice_payments(intent, api_version=VERSION)).objects
    paid = await psp.gateway.object(intent, api_version=VERSION)

    assert (session.status, session.payment_status, session.payment_intent) == ("complete", "paid", None)
    assert shown.data["metadata"]["order_id"] == session.metadata["order_id"] == order_of(invoice.data)
    assert shown.data["status"] == "active"
    assert (link["object"], link["status"], same["id"]) == ("invoice_payment", "paid", link["id"])
    assert paid is not None
    assert (paid.data["metadata"], paid.data["amount_received"]) == ({}, 1999)
    refund = await psp.gateway.refund(
        {"payment_intent": intent, "metadata": {}}, idempotency_key=f"renewal:{intent}", api_version=VERSION
    )
    assert refund.data["amount"] == 1999


async def test_a_subscription_ends_now_and_is_then_gone(psp: Psp) -> None:
    subscription, _ = await psp.subscribed()
    ended = await psp.gateway.cancel_subscription(
        subscription, at="now", metadata={}, idempotency_key=f"{subscription}:1", api_version=VERSION
    )
    again = await failure_of(
        psp.gateway.cancel_subscription(
            subscription, at="now", metadata={}, idempotency_key=f"{subscription}:2", api_version=VERSION
        )
    )
    later = await failure_of(
        psp.gateway.cancel_subscription(
            subscription,
            at="period_end",
            metadata={"note": "1"},
            idempotency_key=f"{subscription}:3",
            api_version=VERSION,
        )
    )

    assert (ended.data["id"], ended.data["status"]) == (subscription, "canceled")
    assert ended.data["ended_at"] is not None
    assert (again.kind, later.kind) == ("permanent", "permanent")
    shown = await psp.gateway.object(subscription, api_version=VERSION)
    assert shown is not None
    assert shown.data["status"] == "canceled"


async def test_a_subscription_that_ends_with_its_period_lives_until_then_however_often_it_is_asked(psp: Psp) -> None:
    subscription, _ = await psp.subscribed()
    answers = [
        await psp.gateway.cancel_subscription(
            subscription,
            at="period_end",
            metadata={"note": "1"},
            idempotency_key=f"{subscription}:{number}",
            api_version=VERSION,
        )
        for number in range(2)
    ]

    for answer in answers:
        assert (answer.data["status"], answer.data["cancel_at_period_end"]) == ("active", True)
        assert (answer.data["metadata"]["note"], "order_id" in answer.data["metadata"]) == ("1", True)
        assert answer.data["cancel_at"] > answer.date


async def test_a_subscription_that_nobody_has_is_refused(psp: Psp) -> None:
    ends: list[SubscriptionEnd] = ["now", "period_end"]
    for at in ends:
        failure = await failure_of(
            psp.gateway.cancel_subscription(
                "sub_none", at=at, metadata={}, idempotency_key=f"none:{at}", api_version=VERSION
            )
        )
        assert (failure.kind, failure.http_status) == ("permanent", 404)
