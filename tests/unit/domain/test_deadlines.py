"""Invoices, periods and deadlines: in every shape that the PSP has had, and whatever comes first."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.order import Invoice, Subscription, view
from tests.unit.domain import factories as make
from tests.unit.domain.factories import Message, fold

COMMAND = make.command(make.RECC)
START, END = 1_802_000_000, 1_804_600_000
#: The service that an invoice bills, in one of its lines.
LINES = {"data": [{"object": "line_item", "period": {"start": START, "end": END}}]}
NEWER: dict[str, Any] = {"amount_due": 900, "lines": LINES, "billing_reason": "subscription_cycle", "amount_paid": 900}
OLDER: dict[str, Any] = {
    **NEWER,
    "parent": None,
    "subscription": "sub_1",
    "payment_intent": "pi_1",
    "charge": "ch_1",
    "subscription_details": {"metadata": make.own_metadata(make.RECC)},
}


def invoices(*messages: Message) -> tuple[Invoice, ...]:
    return view(fold(COMMAND, *messages)).invoices


def subscriptions(*messages: Message) -> tuple[Subscription, ...]:
    return view(fold(COMMAND, *messages)).known_subscriptions


def updated(status: str = "active", **changes: Any) -> Message:
    return make.event("customer.subscription.updated", make.subscription(status, **changes))


@pytest.mark.parametrize("shape", [NEWER, OLDER], ids=["newer", "older"])
def test_an_invoice_is_the_same_row_in_every_shape(shape: dict[str, Any]) -> None:
    assert invoices(make.invoiced(**shape)) == (
        Invoice("in_1", "sub_1", "paid", START, END, 900, 900, "eur", 1, None, "subscription_cycle"),
    )


def test_without_lines_the_invoices_own_period_is_shown() -> None:
    (invoice,) = invoices(make.invoiced(period_start=START))

    assert (invoice.period_start, invoice.period_end) == (START, make.invoice()["period_end"])


def test_an_invoice_is_tried_again_only_while_it_is_open() -> None:
    failed = make.invoiced("open", tries=2, amount_due=900, next_payment_attempt=END)
    given_up = make.invoiced("uncollectible", tries=2, amount_due=900, next_payment_attempt=END)

    assert (invoices(failed)[0].attempts, invoices(failed)[0].next_attempt_at) == (2, END)
    assert invoices(failed, given_up)[0].next_attempt_at is None
    assert invoices(given_up, failed) == invoices(failed, given_up)


def test_a_late_word_of_an_earlier_state_changes_no_amount() -> None:
    """As after an upgrade: what is paid was folded by a program that kept no amounts, then an old event comes late."""
    facts = fold(COMMAND, make.invoiced())
    del facts["invoices"]["in_1"]["told"]
    late = fold(make.invoiced("open", amount_due=900, next_payment_attempt=END))["invoices"]["in_1"]["told"]
    facts["invoices"]["in_1"]["told"] = late
    (invoice,) = view(facts).invoices

    assert (invoice.status, invoice.amount_paid, invoice.next_attempt_at) == ("paid", 1_000, None)
    facts["invoices"]["in_1"]["state"] = [1, 3, "open"]
    assert view(facts).invoices[0].next_attempt_at is None


@pytest.mark.parametrize(
    "shape",
    [
        {"current_period_end": END},
        {"items": {"data": [{"object": "subscription_item", "current_period_end": END}]}},
        {"items": {"data": [{"current_period_end": START}, {"current_period_end": END}]}},
    ],
    ids=["older", "newer", "two items"],
)
def test_the_period_is_read_in_every_shape(shape: dict[str, Any]) -> None:
    assert subscriptions(updated(**shape)) == (Subscription("sub_1", "live", END, cancel_at_period_end=False),)


def test_an_announced_end_stays_until_the_next_period() -> None:
    """Events cannot tell a withdrawn end from an older event; the next period can."""
    running, ending = updated(current_period_end=START), updated(current_period_end=START, cancel_at_period_end=True)
    renewed = updated(current_period_end=END)
    looked = make.snapshot(make.subscription(current_period_end=END, cancel_at_period_end=False))

    assert subscriptions(ending, running) == subscriptions(running, ending)
    assert subscriptions(running, ending)[0].cancel_at_period_end
    assert not subscriptions(ending, renewed)[0].cancel_at_period_end
    assert not subscriptions(ending, looked)[0].cancel_at_period_end
    assert subscriptions(looked)[0].current_period_end == END


def test_the_deadlines_are_those_of_what_lives() -> None:
    unpaid = make.invoiced("open", amount_due=900, next_payment_attempt=END)
    running = updated(current_period_end=START, cancel_at=START)
    told = view(fold(COMMAND, running, unpaid)).deadlines
    over = view(fold(COMMAND, running, unpaid, updated("canceled", current_period_end=START))).deadlines

    assert (told.current_period_end, told.cancel_at_period_end, told.next_payment_attempt) == (START, True, END)
    assert (over.current_period_end, over.cancel_at_period_end, over.next_payment_attempt) == (None, None, None)


def disputed(status: str, due_by: int | None, **changes: Any) -> Message:
    return make.disputed(status, evidence_details={"due_by": due_by}, **changes)


def test_the_next_deadline_of_all_disputes_is_the_orders() -> None:
    sooner, later = disputed("needs_response", START, id="dp_2"), disputed("warning_needs_response", END, moves=0)
    answered = disputed("under_review", START, id="dp_2")

    assert view(fold(sooner, later)).deadlines.evidence_due_by == START
    assert view(fold(sooner, later, answered)).deadlines.evidence_due_by == END


def test_a_chargeback_may_have_an_earlier_deadline_than_its_inquiry() -> None:
    inquiry, chargeback = disputed("warning_needs_response", END, moves=0), disputed("needs_response", START)

    assert view(fold(inquiry, chargeback)).deadlines.evidence_due_by == START
    assert view(fold(chargeback, inquiry)).deadlines.evidence_due_by == START


def test_a_snapshot_tells_the_deadline_of_the_stage_that_it_saw() -> None:
    """A dispute that is appealed a second time is told by nothing but snapshots."""
    appeal = disputed("appeal_needs_response", START)
    again = make.snapshot(make.dispute("appeal_needs_response", evidence_details={"due_by": END}))

    assert view(fold(appeal, again)).deadlines.evidence_due_by == END
    lost = make.snapshot(make.dispute("lost", evidence_details={"due_by": END}), refresh_offset=101)
    assert view(fold(appeal, again, lost)).deadlines.evidence_due_by is None


def test_a_snapshot_of_an_older_program_leaves_the_events_deadline() -> None:
    facts = fold(disputed("needs_response", START), make.snapshot(make.dispute("needs_response")))
    assert len(facts["snapshots"]["dp_1"]) == 7

    assert view(facts).deadlines.evidence_due_by == START


def test_a_dispute_without_a_deadline_has_none() -> None:
    assert view(fold(disputed("needs_response", None))).deadlines.evidence_due_by is None
