"""What each object of the PSP moves, and how far it is: the words of the table, life by life."""

from __future__ import annotations

import pytest

from payonce.domain.order import Movement, view
from tests.unit.domain import factories as make
from tests.unit.domain.factories import Message, fold

PAID = (make.command(), make.token(), make.completed())
AT = 1_800_000_100
CHARGE = Movement("pi_1", "charge", "pi_1", 1_000, "eur", "settled", "succeeded", None, AT)


def moved(*messages: Message) -> list[tuple[str, str, int, str]]:
    """Kind, id, amount and state of every movement, the charge left out."""
    movements = view(fold(*PAID, *messages)).movements
    assert movements[0] == CHARGE or CHARGE in movements
    return [(each.kind, each.psp_id, each.amount, each.state) for each in movements if each.kind != "charge"]


def test_a_payment_is_a_charge_however_many_tell_of_it() -> None:
    told = make.event("payment_intent.succeeded", make.intent())

    assert view(fold(*PAID, told, make.event("charge.succeeded", make.charge()))).movements == (CHARGE,)


def test_money_that_is_not_what_was_agreed_has_moved_all_the_same() -> None:
    order = view(fold(make.command(), make.completed(amount_total=999)))

    assert order.flags == ("amount_mismatch",)
    assert [(each.kind, each.amount) for each in order.movements] == [("charge", 999)]


def test_where_nothing_was_due_nothing_moved() -> None:
    trial = make.recurring_session(payment_status="no_payment_required", amount_total=0)

    assert view(fold(make.command(make.RECC), make.event("checkout.session.completed", trial))).movements == ()


def test_a_payment_that_gets_another_name_is_one_movement() -> None:
    """First known by its session, then by its PaymentIntent: the row of the first name goes."""
    nameless = make.completed(payment_intent=None)

    assert [each.psp_id for each in view(fold(make.command(), nameless)).movements] == ["cs_1"]
    assert view(fold(make.command(), nameless, make.completed())).movements == (CHARGE,)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", [("refund", "re_1", -400, "pending")]),
        ("requires_action", [("refund", "re_1", -400, "pending")]),
        ("succeeded", [("refund", "re_1", -400, "settled")]),
        ("failed", [("refund", "re_1", -400, "reversed"), ("reversal", "re_1", 400, "settled")]),
        ("canceled", [("refund", "re_1", -400, "reversed"), ("reversal", "re_1", 400, "settled")]),
    ],
)
def test_a_refund_counts_until_it_has_failed(status: str, expected: list[tuple[str, str, int, str]]) -> None:
    assert moved(make.refund(400, status)) == expected


@pytest.mark.parametrize(
    ("status", "moves", "expected"),
    [
        ("warning_needs_response", 0, []),
        ("warning_closed", 0, []),
        ("needs_response", 0, [("dispute", "dp_1", -1_000, "pending")]),
        ("needs_response", 1, [("dispute", "dp_1", -1_000, "pending")]),
        ("under_review", 1, [("dispute", "dp_1", -1_000, "pending")]),
        ("lost", 1, [("dispute", "dp_1", -1_000, "settled")]),
        ("appeal_under_review", 1, [("dispute", "dp_1", -1_000, "pending")]),
        ("won", 0, []),
        ("won", 1, [("dispute", "dp_1", -1_000, "reversed"), ("reversal", "dp_1", 1_000, "pending")]),
        ("won", 2, [("dispute", "dp_1", -1_000, "reversed"), ("reversal", "dp_1", 1_000, "settled")]),
    ],
)
def test_a_dispute_takes_and_gives_back(status: str, moves: int, expected: list[tuple[str, str, int, str]]) -> None:
    assert moved(make.disputed(status, moves)) == expected


def test_a_movement_says_what_it_belongs_to_and_when_it_was_first_told() -> None:
    """A failure has a time of its own; the charge's id is enough to find the payment."""
    told = make.refund(400, payment_intent=None)
    failed = dict(make.refund(400, "failed", payment_intent=None).object)
    link = make.event("charge.succeeded", make.charge())
    later = [make.event("refund.failed", failed, f"evt_{after}", created=AT + after) for after in (90, 50)]
    refund, reversal = view(fold(*PAID, link, told, *later)).movements[1:]

    assert (refund.payment, refund.occurred_at) == ("pi_1", AT)
    assert (reversal.payment, reversal.occurred_at, reversal.reverses) == ("pi_1", AT + 50, "refund")


def test_what_belongs_to_nothing_known_says_so() -> None:
    (movement,) = view(fold(make.command(), make.refund(400, payment_intent=None, charge=None))).movements

    assert movement.payment is None


def test_a_renewal_is_a_charge_under_its_invoices_name() -> None:
    renewal = make.invoiced(number=2, amount_paid=900, amount_due=900)
    refund = make.refund(300, payment_intent="pi_9", charge="ch_9")
    order = view(fold(make.command(make.RECC), renewal, make.invoice_paid_by("pi_9", 2), refund))

    assert [(each.kind, each.payment, each.amount) for each in order.movements] == [
        ("charge", "in_2", 900),
        ("refund", "in_2", -300),
    ]
