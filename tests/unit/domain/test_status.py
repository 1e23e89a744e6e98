"""The table of precedence, row by row: what messages bring which status, in any order of arrival."""

from __future__ import annotations

import itertools

import pytest

from payonce.domain.order import merge, view
from tests.unit.domain import factories as make
from tests.unit.domain.factories import Message, fold

UNPAID = make.completed(payment_status="unpaid")
FAILED_TRY = make.event("payment_intent.payment_failed", make.intent(status="requires_payment_method"))
LATE_SUCCESS = make.event("checkout.session.async_payment_succeeded", make.session())
LATE_FAILURE = make.event("checkout.session.async_payment_failed", make.session(payment_status="unpaid"))
DELETED = make.event("customer.subscription.deleted", make.subscription("canceled"))
NEVER_COMPLETED = make.event("customer.subscription.updated", make.subscription("incomplete_expired"))
UNPAID_SUBSCRIPTION = make.snapshot(make.subscription("unpaid"))
PAST_DUE_LATER = make.snapshot(make.subscription("past_due"), refresh_offset=101)
NOTHING_DUE = make.recurring_session(payment_status="no_payment_required", amount_total=0, invoice=None)
FAILED_SNAPSHOT = make.snapshot(make.session(payment_status="unpaid"), make.intent(status="requires_payment_method"))
AGAIN = make.command(attempt=2)
TOKEN_AGAIN = make.token(attempt=2)
RECURRING = make.command(make.RECC)

PAID = (make.command(), make.token(), make.completed())
ACTIVE = (
    RECURRING,
    make.event("checkout.session.completed", make.recurring_session()),
    make.invoiced("paid", 1),
)
FAILED = (make.command(), UNPAID, LATE_FAILURE)
NEVER_BEGUN = (
    RECURRING,
    make.event("checkout.session.async_payment_failed", make.recurring_session(payment_status="unpaid")),
    make.invoiced("open", 1),
    NEVER_COMPLETED,
)
OVERDUE = (*ACTIVE, make.invoiced("open", 2))

ROWS: list[tuple[str, str, tuple[Message, ...]]] = [
    ("charged_back", "a lost dispute", (*PAID, make.disputed("lost"))),
    ("charged_back", "a lost dispute stands before a full refund", (*PAID, make.disputed("lost"), make.refund(1000))),
    ("disputed", "a dispute that needs a response", (*PAID, make.disputed("needs_response"))),
    ("disputed", "a dispute under review", (*PAID, make.disputed("needs_response"), make.disputed("under_review"))),
    ("disputed", "an appeal after a loss", (*PAID, make.disputed("lost"), make.disputed("appeal_needs_response"))),
    ("disputed", "an appeal under review", (*PAID, make.disputed("lost"), make.disputed("appeal_under_review"))),
    ("disputed", "stands before a full refund", (*PAID, make.disputed("under_review"), make.refund(1000))),
    ("paid", "a dispute won", (*PAID, make.disputed("under_review"), make.disputed("won", 2))),
    ("paid", "a dispute won without another movement", (*PAID, make.disputed("under_review"), make.disputed("won"))),
    ("paid", "an inquiry", (*PAID, make.disputed("warning_needs_response", 0))),
    (
        "paid",
        "an inquiry closed",
        (*PAID, make.disputed("warning_under_review", 0), make.disputed("warning_closed", 0)),
    ),
    (
        "charged_back",
        "more movements are later",
        (*PAID, make.disputed("appeal_under_review", 1), make.disputed("lost", 2)),
    ),
    ("refunded", "one refund of everything", (*PAID, make.refund(1000))),
    ("refunded", "a pending refund counts", (*PAID, make.refund(1000, "pending"))),
    ("refunded", "one that requires action counts", (*PAID, make.refund(1000, "requires_action"))),
    ("refunded", "two refunds add up", (*PAID, make.refund(400), make.refund(600, "pending", "re_2"))),
    (
        "refunded",
        "told by the charge only",
        (*PAID, make.event("charge.refunded", make.charge()), make.refund(1000, payment_intent=None)),
    ),
    ("partially_refunded", "a part", (*PAID, make.refund(999))),
    ("partially_refunded", "one of two failed", (*PAID, make.refund(400), make.refund(600, "failed", "re_2"))),
    ("paid", "a refund that failed after it succeeded", (*PAID, make.refund(1000), make.refund(1000, "failed"))),
    ("paid", "a refund canceled", (*PAID, make.refund(1000, "canceled"))),
    ("ended", "a subscription deleted", (*ACTIVE, DELETED)),
    ("ended", "never completed", (*ACTIVE, NEVER_COMPLETED)),
    ("ended", "ended stands before an open invoice", (*OVERDUE, DELETED)),
    ("past_due", "the latest invoice was tried and is open", OVERDUE),
    ("active", "the latest invoice is open, but was not tried", (*ACTIVE, make.invoiced("open", 2, tries=0))),
    ("active", "an older invoice is open, the latest paid", (*OVERDUE, make.invoiced("paid", 3))),
    ("past_due", "a draft of the next period changes nothing", (*OVERDUE, make.invoiced("draft", 3, 0))),
    (
        "active",
        "the open invoice was paid at last",
        (*ACTIVE, make.invoiced("open", 2, 2), make.invoiced("paid", 2, 3)),
    ),
    ("active", "the latest invoice was voided", (*OVERDUE, make.invoiced("void", 2))),
    (
        "unpaid",
        "the latest invoice is given up",
        (*ACTIVE, make.invoiced("open", 2, 4), make.invoiced("uncollectible", 2, 4)),
    ),
    ("unpaid", "the PSP's subscription is unpaid", (*ACTIVE, make.invoiced("open", 2, 4), UNPAID_SUBSCRIPTION)),
    (
        "active",
        "paid after unpaid",
        (*ACTIVE, make.invoiced("open", 2, 4), UNPAID_SUBSCRIPTION, make.invoiced("paid", 2, 5)),
    ),
    (
        "past_due",
        "a later snapshot takes unpaid back",
        (*ACTIVE, make.invoiced("open", 2, 4), UNPAID_SUBSCRIPTION, PAST_DUE_LATER),
    ),
    ("past_due", "a refund does not hide it", (*OVERDUE, make.refund(100))),
    ("failed", "a subscription whose first payment failed late has never begun", NEVER_BEGUN),
    (
        "registered",
        "and a new attempt may follow",
        (*NEVER_BEGUN, make.command(make.RECC, 2), make.token(make.RECC, 2)),
    ),
    ("active", "a paid invoice", ACTIVE),
    ("active", "with a refund", (*ACTIVE, make.refund(1000))),
    ("active", "a session with nothing due", (RECURRING, make.event("checkout.session.completed", NOTHING_DUE))),
    ("active", "a trial's invoice over nothing", (RECURRING, make.invoiced("paid", amount_paid=0))),
    ("active", "an invoice of less than the terms", (RECURRING, make.invoiced("paid", amount_paid=300))),
    ("paid", "a session completed and paid", PAID),
    ("paid", "a delayed method that succeeded", (make.command(), UNPAID, LATE_SUCCESS)),
    (
        "paid",
        "a PaymentIntent alone, whose session's event never comes",
        (make.command(), make.token(), make.event("payment_intent.succeeded", make.intent())),
    ),
    ("paid", "an expired event of the same session loses", (*PAID, make.expired())),
    ("paid", "an async failure of another attempt is past", (*FAILED, AGAIN, TOKEN_AGAIN, make.completed(attempt=2))),
    ("paid", "an older attempt paid after the newer began", (*PAID, AGAIN, TOKEN_AGAIN)),
    ("paid", "a late failed try on the page", (*PAID, FAILED_TRY)),
    ("paid", "stands before cancelled", (*PAID, make.cancelled())),
    ("processing", "a session completed and unpaid", (make.command(), make.token(), UNPAID)),
    ("processing", "of an earlier attempt", (make.command(), UNPAID, AGAIN, TOKEN_AGAIN)),
    ("processing", "a complete session stands before cancelled", (make.command(), UNPAID, make.cancelled())),
    ("processing", "a payment of the wrong amount", (make.command(), make.completed(amount_total=999))),
    ("processing", "of the wrong currency", (make.command(), make.completed(currency="usd"))),
    (
        "processing",
        "nothing due for a sale",
        (make.command(), make.completed(payment_status="no_payment_required", amount_total=0)),
    ),
    (
        "processing",
        "the PaymentIntent received less than the session says",
        (*PAID, make.event("payment_intent.succeeded", make.intent(amount_received=999))),
    ),
    ("processing", "an invoice of more than the terms", (RECURRING, make.invoiced("paid", amount_paid=1001))),
    ("processing", "a payment before the terms are known", (make.token(), make.completed())),
    ("registered", "an open session", (make.command(), make.token())),
    ("registered", "a failed try on the page", (make.command(), make.token(), FAILED_TRY)),
    ("registered", "the latest attempt decides", (make.command(), make.token(), make.expired(), AGAIN, TOKEN_AGAIN)),
    (
        "registered",
        "a rejected newer attempt does not count",
        (make.command(), make.token(), AGAIN, make.rejected(attempt=2)),
    ),
    (
        "registered",
        "rejected first, accepted later",
        (make.command(), make.expired(), AGAIN, make.rejected(attempt=2), TOKEN_AGAIN),
    ),
    ("registered", "a token before its command", (make.token(),)),
    ("cancelled", "the latest attempt is cancelled", (make.command(), make.token(), make.cancelled())),
    ("cancelled", "stands before expired", (make.command(), make.token(), make.expired(), make.cancelled())),
    ("cancelled", "stands before registration_failed", (make.command(), make.registration_failed(), make.cancelled())),
    ("cancelled", "without a registration", (make.command(), make.cancelled())),
    ("cancelled", "before its command is seen", (make.command(), make.expired(), make.cancelled(attempt=2))),
    ("registered", "an earlier attempt was cancelled", (make.command(), make.cancelled(), AGAIN, TOKEN_AGAIN)),
    ("failed", "a delayed method that failed", FAILED),
    ("failed", "a complete session stands before cancelled", (*FAILED, make.cancelled())),
    ("failed", "told by a snapshot alone", (make.command(), FAILED_SNAPSHOT)),
    ("expired", "a session expired", (make.command(), make.token(), make.expired())),
    ("expired", "stands before registration_failed", (make.command(), make.registration_failed(), make.expired())),
    ("registration_failed", "a proven failure", (make.command(), make.registration_failed())),
    (
        "registration_failed",
        "a new attempt failed before its command is seen",
        (make.command(), make.expired(), make.registration_failed(attempt=2)),
    ),
    ("created", "a command", (make.command(),)),
    ("created", "stuck", (make.command(), make.stuck())),
    ("created", "a new attempt after a failed one", (*FAILED, AGAIN)),
    ("created", "a new attempt after an expired one", (make.command(), make.token(), make.expired(), AGAIN)),
]


@pytest.mark.parametrize(("status", "case", "messages"), ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
def test_status(status: str, case: str, messages: tuple[Message, ...]) -> None:
    """Every row holds in the order told, in the reverse, and with each message first."""
    told = [fold(message) for message in messages]
    arrivals = [list(told), told[::-1], *([one, *told] for one in told)]

    for arrival in arrivals:
        facts = arrival[0]
        for more in itertools.islice(arrival, 1, None):
            facts = merge(facts, more)
        assert view(facts).status == status


def test_every_status_of_the_design_has_its_row() -> None:
    named = """created registered processing paid failed expired registration_failed refunded partially_refunded
    disputed charged_back active past_due unpaid ended cancelled"""

    assert {row[0] for row in ROWS} == set(named.split())


def test_an_appeal_decided_again_is_told_by_a_snapshot() -> None:
    """lost, appealed, lost again without a movement of money: events alone cannot order that."""
    events = (*PAID, make.disputed("lost"), make.disputed("appeal_under_review"))
    seen_lost = make.snapshot(make.dispute("lost"), refresh_offset=200)

    assert view(fold(*events)).status == "disputed"
    assert view(fold(*events, seen_lost)).status == "charged_back"
    assert view(fold(seen_lost, *events)).status == "charged_back"


def test_the_snapshot_with_the_greatest_version_wins() -> None:
    first = make.snapshot(make.dispute("appeal_under_review"), refresh_offset=200)
    second = make.snapshot(make.dispute("won"), refresh_offset=201, response_date=1)
    same_offset = make.snapshot(make.dispute("lost"), refresh_offset=201, response_date=2)

    assert view(fold(*PAID, first)).status == "disputed"
    assert view(fold(*PAID, second, first)).status == "paid"
    assert view(fold(*PAID, second, same_offset, first)).status == "charged_back"


@pytest.mark.parametrize("later", [make.disputed("lost", 1), make.disputed("won", 2)])
def test_an_event_further_on_than_the_snapshot_is_later(later: Message) -> None:
    seen = make.snapshot(make.dispute("under_review", 1))

    assert view(fold(*PAID, seen)).status == "disputed"
    assert view(fold(*PAID, later, seen)).status == view(fold(*PAID, later)).status
