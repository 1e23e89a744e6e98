"""The columns of an order's row, as its facts tell them. Pure; what facts mean is `order`'s."""

from __future__ import annotations

from typing import Any

from payonce.domain.order import OrderView


def columns_of(order: OrderView) -> dict[str, Any]:
    """Return the columns of payment_order that follow from the facts. Times are unix seconds."""
    terms = order.terms
    return {
        "client_id": terms.client_id if terms else None,
        "reference": terms.reference if terms else None,
        "body_hash": order.body_hash,
        "payment_type": terms.payment_type if terms else None,
        "payment_method": terms.payment_method if terms else None,
        "psp": terms.psp if terms else None,
        "amount": terms.amount if terms else None,
        "currency": terms.currency if terms else None,
        "redirect_url": terms.redirect_url if terms else None,
        "payment_order_status": order.status,
        "attempt": order.attempt,
        "psp_token": order.psp_token,
        "hosted_page_url": order.hosted_page_url,
        "client_secret": order.client_secret,
        "page_expires_at": order.page_expires_at,
        "amount_paid": order.amount_paid,
        "amount_refunded": order.amount_refunded,
        "amount_disputed": order.amount_disputed,
        "failure_reason": order.failure_reason,
        "failure_detail": order.failure_detail,
        "flags": list(order.flags),
        "evidence_due_by": order.deadlines.evidence_due_by,
        "current_period_end": order.deadlines.current_period_end,
        "cancel_at_period_end": order.deadlines.cancel_at_period_end,
        "next_payment_attempt": order.deadlines.next_payment_attempt,
    }
