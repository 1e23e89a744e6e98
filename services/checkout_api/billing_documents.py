"""The JSON in which a client reads of its subscriptions and invoices. Times are unix seconds, amounts minor units."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from payonce.domain.order import OrderView


class Subscription(BaseModel):
    """What the customer has agreed to pay for again and again."""

    id: str = Field(description="The PSP's id; a cancellation names it where the order has several")
    status: Literal["live", "ended"]
    current_period_end: int | None = Field(description="Until when it is paid for; null until the PSP has said")
    cancel_at_period_end: bool = Field(description="Whether it ends then")


class Invoice(BaseModel):
    """What one period of a subscription costs."""

    id: str = Field(description="The PSP's id; once paid it is also the `payment` that a refund names")
    subscription: str | None
    status: str = Field(description="The PSP's word: draft, open, paid, uncollectible or void")
    billing_reason: str | None = Field(description="The PSP's word: subscription_create, subscription_cycle ...")
    period_start: int | None = Field(description="Of the service that it bills")
    period_end: int
    amount_due: int | None
    amount_paid: int
    currency: str | None
    attempts: int = Field(description="How often the PSP has tried to collect it")
    next_attempt_at: int | None = Field(description="When the PSP tries again; null: it does not")


def subscription_documents(order: OrderView) -> list[Subscription]:
    """Return the order's subscriptions, by id."""
    return [
        Subscription(
            id=each.subscription,
            status=each.status,
            current_period_end=each.current_period_end,
            cancel_at_period_end=each.cancel_at_period_end,
        )
        for each in order.known_subscriptions
    ]


def invoice_documents(order: OrderView) -> list[Invoice]:
    """Return the order's invoices, by period."""
    return [
        Invoice(
            id=each.invoice_id,
            subscription=each.subscription,
            status=each.status,
            billing_reason=each.billing_reason,
            period_start=each.period_start,
            period_end=each.period_end,
            amount_due=each.amount_due,
            amount_paid=each.amount_paid,
            currency=each.currency,
            attempts=each.attempts,
            next_attempt_at=each.next_attempt_at,
        )
        for each in order.invoices
    ]
