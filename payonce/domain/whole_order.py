"""An order with everything that is known of it, for those who show or judge it: its row, its facts, refunds asked for.

The refunds asked for are the PSP worker's ledger, which is ahead of the facts: a refund stands there before it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from payonce.domain.facts import REFUND_FAILED, REFUND_RANK
from payonce.domain.merge import Facts
from payonce.domain.order import OrderView, view
from payonce.domain.order_row import OrderRow
from payonce.domain.payments import Payment, Refund

RefundStatus = Literal["pending", "succeeded", "failed"]
Effect = Literal["applied", "no_change", "ignored"]


@dataclass(frozen=True, slots=True)
class AskedRefund:
    """A refund that a client asked for, as the ledger has it; `payment` and `amount` are the client's words.

    `refund_id` and `taken_amount` are None until the PSP has taken it on; `failed`: it is proven that it moved no
    money, and why.
    """

    refund_reference: str
    command_id: str
    payment: str | None
    amount: int | None
    asked_at: int
    refund_id: str | None = None
    taken_amount: int | None = None
    failed: bool = False
    failure_reason: str | None = None
    failure_detail: str | None = None


@dataclass(frozen=True, slots=True)
class KnownRefund:
    """A refund from either source. Without a `refund_reference` it was made at the PSP and not through us."""

    refund_reference: str | None
    refund_id: str | None
    payment: str | None
    amount: int | None
    currency: str | None
    status: RefundStatus
    asked_at: int | None = None
    failure_reason: str | None = None
    failure_detail: str | None = None


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Orders that fit everything that is said here. Times in unix seconds, the end not included."""

    order_id: str | None = None
    status: str | None = None
    created_from: int | None = None
    created_until: int | None = None


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """One event that touched an order. Times in unix seconds: when it happened, and when it was folded."""

    event_id: str
    event_type: str
    occurred_at: int
    recorded_at: int
    effect: Effect
    reason: str | None


@dataclass(frozen=True, slots=True)
class WholeOrder:
    """One order, read in one moment."""

    row: OrderRow
    facts: Facts
    asked: tuple[AskedRefund, ...] = ()
    #: What the facts amount to.
    view: OrderView = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "view", view(self.facts))

    def refunds(self) -> tuple[KnownRefund, ...]:
        """Return every refund once: first those asked for, in that order, then those made at the PSP, by id."""
        order = self.view
        seen = {refund.refund: refund for refund in order.refunds}
        asked = [_joined(each, seen.pop(each.refund_id or "", None), order) for each in self.asked]
        foreign = [
            KnownRefund(None, each.refund, each.payment, each.amount, each.currency, status_of_refund(each.status))
            for each in seen.values()
        ]
        return (*asked, *foreign)

    def refundable(self, payment: Payment) -> int:
        """Return what is left to refund of a payment, in minor units: refunds on their way count as gone."""
        order = self.view
        seen = {refund.refund for refund in order.refunds}
        left = payment.amount - payment.refunded
        for each in self.asked:
            if not each.failed and each.refund_id not in seen and _payment_of(each, order) == payment.payment:
                amount = each.taken_amount or each.amount
                left = 0 if amount is None else left - amount
        return max(0, left)


def status_of_refund(status: str) -> RefundStatus:
    """Return the PSP's status in three words; one that needs the customer's action is pending, a cancelled one failed.

    None of them is the last word but `failed`: a refund that succeeded may still fail.
    """
    if REFUND_RANK[status] >= REFUND_FAILED:
        return "failed"
    return "succeeded" if status == "succeeded" else "pending"


def _joined(asked: AskedRefund, seen: Refund | None, order: OrderView) -> KnownRefund:
    """Let the PSP's own word stand before the ledger's, which ends when the PSP has taken the refund on."""
    status: RefundStatus = "failed" if asked.failed else "pending"
    payment = _payment_of(asked, order)
    return KnownRefund(
        refund_reference=asked.refund_reference,
        refund_id=asked.refund_id,
        payment=seen.payment if seen else payment,
        amount=seen.amount if seen else asked.taken_amount or asked.amount,
        currency=seen.currency if seen else next((p.currency for p in order.payments if p.payment == payment), None),
        status=status_of_refund(seen.status) if seen else status,
        asked_at=asked.asked_at,
        failure_reason=asked.failure_reason,
        failure_detail=asked.failure_detail,
    )


def _payment_of(asked: AskedRefund, order: OrderView) -> str | None:
    if asked.payment is not None or len(order.payments) != 1:
        return asked.payment
    return order.payments[0].payment
