"""Every movement of money of an order, derived from its facts: one row of payment_movement each.

    charge    +  a payment that was received, whatever the order asked for (the order's flags judge it)
    refund    -  money sent back, from the moment on that the PSP has taken the refund on
    dispute   -  money that a dispute holds or took; an inquiry moves none
    reversal  +  money that came back: of a refund that failed or was cancelled, of a dispute that was won

So of one order and one currency the sum of all is what is left; charges alone are `amount_paid`; refunds with their
reversals are `-amount_refunded`; disputes with theirs `-amount_disputed`. Nothing here is counted twice or guessed: a
row follows from one object of the PSP, and goes when that object's facts say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from payonce.domain.disputes import Dispute
from payonce.domain.facts import REFUND_FAILED, REFUND_RANK
from payonce.domain.payments import Payment, Refund

Kind = Literal["charge", "refund", "dispute", "reversal"]
State = Literal["pending", "settled", "reversed"]


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that moved once, or is moving. `amount` in minor units, from the shop's side: negative is taken away.

    `psp_id` is the payment's, the refund's or the dispute's, also for a reversal, and with `kind` it names the row.
    `payment` is the payment that it belongs to, None while that is not known. `state`: "pending" may still go either
    way, "settled" is done, "reversed" stands beside its reversal. `psp_status` is the PSP's word. `reverses` is set on
    a reversal only. `occurred_at` (unix seconds): when it was first told, None if that is not known.
    """

    psp_id: str
    kind: Kind
    payment: str | None
    amount: int
    currency: str
    state: State
    psp_status: str
    reverses: Literal["refund", "dispute"] | None = None
    occurred_at: int | None = None


def movements_of(
    payments: Iterable[Payment], refunds: Iterable[Refund], disputes: Iterable[Dispute]
) -> tuple[Movement, ...]:
    """Return the movements by id and kind. Pure; what is nothing (a trial's invoice) moves nothing."""
    found = [_of_payment(payment) for payment in payments]
    for refund in refunds:
        found += _of_refund(refund)
    for dispute in disputes:
        found += _of_dispute(dispute)
    return tuple(sorted((each for each in found if each.amount), key=lambda movement: (movement.psp_id, movement.kind)))


def _of_payment(payment: Payment) -> Movement:
    return Movement(
        psp_id=payment.payment,
        kind="charge",
        payment=payment.payment,
        amount=payment.amount,
        currency=payment.currency,
        state="settled",
        psp_status="succeeded",
        occurred_at=payment.occurred_at,
    )


def _of_refund(refund: Refund) -> Iterator[Movement]:
    has_failed = REFUND_RANK[refund.status] >= REFUND_FAILED
    settled: State = "settled" if refund.status == "succeeded" else "pending"
    sent = Movement(
        psp_id=refund.refund,
        kind="refund",
        payment=refund.payment or None,
        amount=-refund.amount,
        currency=refund.currency,
        state="reversed" if has_failed else settled,
        psp_status=refund.status,
        occurred_at=refund.occurred_at,
    )
    yield sent
    if has_failed:
        yield _reversal(sent, "refund", state="settled", at=refund.failed_at)


def _of_dispute(dispute: Dispute) -> Iterator[Movement]:
    """Yield what it took and what it gave back: its status says so, even before the funds are reinstated."""
    if not dispute.amount_taken and not dispute.moves:
        return
    held: State = "settled" if dispute.status == "lost" else "pending"
    taken = Movement(
        psp_id=dispute.dispute,
        kind="dispute",
        payment=dispute.payment or None,
        amount=-dispute.amount,
        currency=dispute.currency,
        state=held if dispute.amount_taken else "reversed",
        psp_status=dispute.status,
        occurred_at=dispute.occurred_at,
    )
    yield taken
    if not dispute.amount_taken:
        state: State = "settled" if dispute.funds == "reinstated" else "pending"
        yield _reversal(taken, "dispute", state=state, at=dispute.given_back_at)


def _reversal(taken: Movement, reverses: Literal["refund", "dispute"], *, state: State, at: int | None) -> Movement:
    return Movement(
        psp_id=taken.psp_id,
        kind="reversal",
        payment=taken.payment,
        amount=-taken.amount,
        currency=taken.currency,
        state=state,
        psp_status=taken.psp_status,
        reverses=reverses,
        occurred_at=at,
    )
