"""What is shown beside the status: flags, sums, the token and its page, the reason of a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from payonce.domain.order import view
from tests.unit.domain import factories as make
from tests.unit.domain.factories import Message, fold

PAID = (make.command(), make.token(), make.completed())
AGAIN = (make.command(attempt=2), make.token(attempt=2))
RECURRING = (make.command(make.RECC), make.invoiced("paid"))


def flags(*messages: Message) -> tuple[str, ...]:
    return view(fold(*messages)).flags


# ---------------------------------------------------------------------------------------------- flags


def test_an_order_paid_as_agreed_has_no_flag() -> None:
    assert flags(*PAID) == ()


def test_one_payment_told_by_four_events_is_one_payment() -> None:
    told = (
        *PAID,
        make.event("checkout.session.async_payment_succeeded", make.session()),
        make.event("payment_intent.succeeded", make.intent()),
        make.event("charge.succeeded", make.charge(metadata=make.own_metadata())),
    )

    assert view(fold(*told)).amount_paid == 1000
    assert flags(*told) == ()


def test_a_payment_first_named_by_its_session_is_still_one() -> None:
    """The PaymentIntent may be missing from one event of the session and be there in the next."""
    nameless = make.completed(payment_intent=None)
    seen = view(fold(make.command(), nameless, make.completed()))

    assert ([each.payment for each in seen.payments], seen.flags) == (["pi_1"], ())


@pytest.mark.parametrize(
    "told",
    [
        make.completed(amount_total=1001),
        make.completed(amount_total=999),
        make.completed(currency="usd"),
        make.event("payment_intent.succeeded", make.intent(amount_received=1)),
        make.completed(payment_status="no_payment_required", amount_total=0),
    ],
)
def test_a_sale_of_another_sum_is_flagged(told: Message) -> None:
    assert flags(make.command(), told) == ("amount_mismatch",)


def test_a_mismatch_is_not_judged_before_the_terms_are_known() -> None:
    assert flags(make.completed(amount_total=999)) == ()


def test_an_attempt_is_held_against_its_own_terms() -> None:
    """Ops may amend the amount for a new attempt: the first one's terms then say nothing about its payment."""
    amended = make.terms(800)
    facts = fold(make.command(), make.expired(), make.command(amended, 2), make.completed(amended, 2))

    assert view(facts).status == "paid"
    assert view(facts).terms == amended
    old_price = make.completed(amended, 2, amount_total=1000)

    assert flags(make.command(), make.expired(), make.command(amended, 2), old_price) == ("amount_mismatch",)


@pytest.mark.parametrize("changes", [{"amount_paid": 1001}, {"currency": "usd"}])
def test_an_invoice_of_more_or_of_another_currency_is_flagged(changes: dict[str, Any]) -> None:
    assert flags(make.command(make.RECC), make.invoiced("paid", **changes)) == ("amount_mismatch",)


def test_two_payments_of_a_sale_are_flagged() -> None:
    seen = view(fold(*PAID, *AGAIN, make.completed(attempt=2)))

    assert seen.flags == ("duplicate_payment",)
    assert (seen.status, seen.amount_paid) == ("paid", 2000)


def test_a_right_payment_beside_a_wrong_one_makes_it_paid_with_both_flags() -> None:
    seen = view(fold(*PAID, *AGAIN, make.completed(attempt=2, amount_total=5)))

    assert (seen.status, seen.attempt) == ("paid", 1)
    assert seen.flags == ("amount_mismatch", "duplicate_payment")


def test_many_invoices_of_one_subscription_are_no_duplicates() -> None:
    assert flags(*RECURRING, make.invoiced("paid", 2), make.invoiced("paid", 3)) == ()


def test_two_live_subscriptions_are_flagged_until_one_has_ended() -> None:
    second = make.event("customer.subscription.created", make.subscription(attempt=2))
    ended = make.event("customer.subscription.deleted", make.subscription("canceled", attempt=2))

    assert flags(*RECURRING, second) == ("duplicate_payment",)
    assert flags(*RECURRING, second, ended) == ()
    assert view(fold(*RECURRING, second, ended)).status == "active"


@pytest.mark.parametrize("status", ["warning_needs_response", "warning_under_review"])
def test_an_inquiry_is_a_flag_and_takes_no_money(status: str) -> None:
    seen = view(fold(*PAID, make.disputed(status, 0)))

    assert (seen.flags, seen.amount_disputed) == (("inquiry",), 0)
    assert flags(*PAID, make.disputed(status, 0), make.disputed("warning_closed", 0)) == ()


# ----------------------------------------------------------------------------------------------- sums


def test_refunds_are_summed_per_payment() -> None:
    """One of two payments sent back is not the whole order, however large the sum."""
    both = (*PAID, *AGAIN, make.completed(attempt=2))
    first = make.refund(1000)
    second = make.refund(1000, "pending", "re_2", payment_intent="pi_2", charge="ch_2")

    assert view(fold(*both, first)).status == "partially_refunded"
    assert view(fold(*both, first, make.refund(1000, refund_id="re_2"))).status == "partially_refunded"
    assert view(fold(*both, first, second)).status == "refunded"
    assert view(fold(*both, first, second)).amount_refunded == 2000


def test_a_mismatched_payment_sent_back_is_refunded() -> None:
    """That is how ops settle it."""
    facts = fold(make.command(), make.completed(amount_total=999), make.refund(999))

    assert view(facts).status == "refunded"


def test_a_refund_of_an_invoice_finds_it_through_the_later_link() -> None:
    told = (*RECURRING, make.refund(300, payment_intent="pi_9", charge="ch_9"))
    unknown, known = view(fold(*told)), view(fold(*told, make.invoice_paid_by("pi_9")))

    assert [(each.payment, each.refunded) for each in unknown.payments] == [("in_1", 0)]
    assert [(each.payment, each.refunded) for each in known.payments] == [("in_1", 300)]
    assert unknown.amount_refunded == known.amount_refunded == 300


def test_a_failed_refund_is_no_money() -> None:
    assert view(fold(*PAID, make.refund(1000), make.refund(1000, "failed"))).amount_refunded == 0


@pytest.mark.parametrize(("status", "taken"), [("needs_response", 1000), ("lost", 1000), ("won", 0), ("prevented", 0)])
def test_disputed_is_what_a_dispute_holds_or_took(status: str, taken: int) -> None:
    assert view(fold(*PAID, make.disputed(status))).amount_disputed == taken


def test_refunds_and_live_subscriptions_are_listed() -> None:
    refunds = view(fold(*PAID, make.refund(400), make.refund(600, "failed", "re_2"))).refunds
    told = [(each.refund, each.payment, each.status, each.amount, each.amount_sent_back) for each in refunds]

    assert told == [("re_1", "pi_1", "succeeded", 400, 400), ("re_2", "pi_1", "failed", 600, 0)]
    assert view(fold(*RECURRING)).subscriptions == ("sub_1",)


# ----------------------------------------------------------------------------------------------- page


def test_the_page_is_shown_while_its_session_is_open() -> None:
    seen = view(fold(make.command(), make.token()))

    assert seen.psp_token == "cs_1"
    assert seen.hosted_page_url == "https://psp.example/cs_1"
    assert seen.client_secret == "cs_1_secret"
    assert seen.page_expires_at == 1_800_007_200


@pytest.mark.parametrize(
    "closing",
    [
        make.expired(),
        make.completed(),
        make.completed(payment_status="unpaid"),
        make.completed(url="https://psp.example/cs_1", client_secret="cs_1_secret"),
    ],
)
def test_page_and_secret_vanish_from_the_facts_when_the_session_closes(closing: Message) -> None:
    for messages in ((make.command(), make.token(), closing), (closing, make.token(), make.command())):
        facts = fold(*messages)

        assert view(facts).hosted_page_url is None
        assert view(facts).client_secret is None
        assert view(facts).psp_token == "cs_1"
        assert "psp.example" not in json.dumps(facts)
        assert "secret" not in json.dumps(facts)


def test_the_page_of_a_cancelled_or_older_attempt_is_not_shown() -> None:
    assert view(fold(make.command(), make.token(), make.cancelled())).hosted_page_url is None
    assert view(fold(make.command(), make.token(), make.command(attempt=2))).hosted_page_url is None


def test_the_page_is_hidden_as_soon_as_money_is_known() -> None:
    paid = make.event("payment_intent.succeeded", make.intent())

    assert view(fold(make.command(), make.token(), paid)).hosted_page_url is None


# -------------------------------------------------------------------------------------------- failure


def test_a_failure_says_why_and_only_while_it_is_the_status() -> None:
    failed = (make.command(), make.registration_failed())

    assert view(fold(*failed)).failure_reason == "psp_refused"
    assert view(fold(*failed)).failure_detail == "no such method"
    assert view(fold(make.command(), make.stuck())).failure_reason == "unknown_outcome"
    assert view(fold(*failed, *AGAIN)).failure_reason is None
    assert view(fold(*PAID, make.stuck())).failure_reason is None
