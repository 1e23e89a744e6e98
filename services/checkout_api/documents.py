"""The JSON in which a client reads everything about its order. Times are unix seconds, amounts minor units."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from payonce.domain.whole_order import KnownRefund, TimelineLine, WholeOrder
from services.checkout_api.answers import shown
from services.checkout_api.billing_documents import (
    Invoice,
    Subscription,
    invoice_documents,
    subscription_documents,
)
from services.checkout_api.links import Links
from services.checkout_api.payloads import PaymentOrder


class Attempt(BaseModel):
    """One registration of the order with the PSP."""

    attempt: int
    status: str = Field(
        description="created, registered, processing, paid, failed, expired, cancelled or registration_failed"
    )
    failure_reason: str | None = None
    failure_detail: str | None = None


class Payment(BaseModel):
    """Money received once."""

    payment: str = Field(description="The PSP's id; a refund names it where the order has several")
    attempt: int
    amount: int
    currency: str
    amount_refunded: int = Field(description="What was or is being sent back")
    amount_refundable: int = Field(description="What is left; refunds on their way count as gone")
    standing: Literal["counts", "mismatch", "waits"] = Field(
        description="mismatch: the money is not what the order asks for, so it does not make the order paid"
    )


class Refund(BaseModel):
    """Money sent back, or asked to be."""

    object: Literal["refund"] = "refund"
    payment_order_id: str
    refund_reference: str | None = Field(description="Yours; null if it was made at the PSP and not through payonce")
    status: Literal["pending", "succeeded", "failed"] = Field(description="One that succeeded may still fail later")
    payment: str | None = Field(description="The payment it is taken from")
    amount: int | None = Field(description="Null while it is not known how much is left")
    currency: str | None
    psp_refund_id: str | None = Field(description="Null until the PSP has taken it on")
    requested_at: int | None
    failure_reason: str | None = None
    failure_detail: str | None = None


class Dispute(BaseModel):
    """A customer's bank asks for the money back, or (an inquiry, `warning_...`) asks what it was for."""

    id: str
    status: str = Field(
        description="The PSP's word: warning_needs_response, warning_under_review, warning_closed, prevented, "
        "needs_response, under_review, won, lost, appeal_needs_response or appeal_under_review"
    )
    payment: str | None = Field(description="The payment that it is about; null while that is not known")
    amount: int
    currency: str
    reason: str | None = Field(description="The PSP's word for what the customer says")
    evidence_due_by: int | None = Field(description="Until when you can send evidence; null: nobody waits for it")
    funds: Literal["untouched", "withdrawn", "reinstated"] = Field(
        description="Whether the PSP has taken the money, and given it back"
    )


class WholePaymentOrder(PaymentOrder):
    """A payment order with everything that belongs to it."""

    attempts: list[Attempt]
    payments: list[Payment]
    refunds: list[Refund]
    disputes: list[Dispute]
    subscriptions: list[Subscription]
    invoices: list[Invoice]


class PaymentOrderList(BaseModel):
    """A page of payment orders, newest first."""

    object: Literal["list"] = "list"
    data: list[WholePaymentOrder]
    has_more: bool = Field(description="Whether there are older ones: ask with `starting_after` the last one's id")


class RefundList(BaseModel):
    """Every refund of a payment order."""

    object: Literal["list"] = "list"
    data: list[Refund]
    has_more: Literal[False] = False


class TimelineEvent(BaseModel):
    """One event that touched the order: a command, what came of it, or what the PSP announced."""

    id: str
    type: str
    occurred_at: int = Field(description="When it happened, as its source says")
    recorded_at: int = Field(description="When it was taken into the order")
    effect: Literal["applied", "no_change", "ignored"] = Field(
        description="no_change: its facts were known; ignored: it carries no fact about the order"
    )
    reason: str | None = Field(description="Why it changed nothing")


class Timeline(BaseModel):
    """A page of an order's timeline, oldest first."""

    object: Literal["list"] = "list"
    data: list[TimelineEvent]
    has_more: bool = Field(description="Whether there are later ones: ask with `starting_after` the last one's id")


def whole_document(whole: WholeOrder, links: Links, *, now: float) -> WholePaymentOrder | None:
    """Return the order for its client, None while the client's own fields are not known yet."""
    document = shown(whole.row, links, now=now)
    if document is None:
        return None
    return WholePaymentOrder(
        **document.model_dump(),
        attempts=_attempts(whole),
        payments=_payments(whole),
        refunds=refund_documents(whole),
        disputes=_disputes(whole),
        subscriptions=subscription_documents(whole.view),
        invoices=invoice_documents(whole.view),
    )


def refund_documents(whole: WholeOrder) -> list[Refund]:
    """Return every refund of the order."""
    return [refund_document(whole.row.order_id, each) for each in whole.refunds()]


def refund_document(order_id: str, refund: KnownRefund) -> Refund:
    """Return one refund for its client."""
    return Refund(
        payment_order_id=order_id,
        refund_reference=refund.refund_reference,
        status=refund.status,
        payment=refund.payment,
        amount=refund.amount,
        currency=refund.currency,
        psp_refund_id=refund.refund_id,
        requested_at=refund.asked_at,
        failure_reason=refund.failure_reason,
        failure_detail=refund.failure_detail,
    )


def timeline_event(line: TimelineLine) -> TimelineEvent:
    """Return one line of the timeline for its client; one that changed nothing says why."""
    known = "its facts were known already" if line.effect == "no_change" else None
    return TimelineEvent(
        id=line.event_id,
        type=line.event_type,
        occurred_at=line.occurred_at,
        recorded_at=line.recorded_at,
        effect=line.effect,
        reason=line.reason or known,
    )


def _attempts(whole: WholeOrder) -> list[Attempt]:
    paid = {payment.attempt for payment in whole.view.payments if payment.standing == "counts"}
    return [
        Attempt(
            attempt=each.number,
            status="paid" if each.number in paid else each.status,
            failure_reason=each.failure_reason,
            failure_detail=each.failure_detail,
        )
        for each in whole.view.attempts
    ]


def _payments(whole: WholeOrder) -> list[Payment]:
    return [
        Payment(
            payment=each.payment,
            attempt=each.attempt,
            amount=each.amount,
            currency=each.currency,
            amount_refunded=each.refunded,
            amount_refundable=whole.refundable(each),
            standing=each.standing,
        )
        for each in whole.view.payments
    ]


def _disputes(whole: WholeOrder) -> list[Dispute]:
    return [
        Dispute(
            id=each.dispute,
            status=each.status,
            payment=each.payment or None,
            amount=each.amount,
            currency=each.currency,
            reason=each.reason,
            evidence_due_by=each.evidence_due_by,
            funds=each.funds,
        )
        for each in whole.view.disputes
    ]
