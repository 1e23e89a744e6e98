"""From an order's view to its row and to what the world is told. Pure.

Nothing is announced before the terms are known, and nothing that the world has been told already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payonce.codec import encode_body
from payonce.domain.events import OrderStatusChanged
from payonce.domain.order import OrderView, view
from payonce.ports import OrderChange, StoredOrder


def change_of(stored: StoredOrder, facts: Mapping[str, Any]) -> OrderChange:
    """Return what to write for an order whose facts have become `facts`.

    The version moves only with an announcement: past the last one and past the database's clock, so that it never goes
    back, not even after a restore from a backup.
    """
    after = view(facts)
    version = max(stored.version + 1, stored.clock_ms)
    announcement = _announcement(stored.order_id, after, version, stored.clock_ms)
    if announcement is None or _same_public_state(stored, after):
        return OrderChange(stored.order_id, facts, columns_of(after), stored.version, None)
    return OrderChange(stored.order_id, facts, columns_of(after), version, encode_body(announcement))


def columns_of(order: OrderView) -> dict[str, Any]:
    """Return the public columns of payment_order. Times are unix seconds."""
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
    }


def _same_public_state(stored: StoredOrder, after: OrderView) -> bool:
    """Compare what two announcements would say; before the first one there is nothing to compare with."""
    if stored.version == 0:
        return False
    before = _announcement(stored.order_id, view(stored.facts), 0, 0)
    return before == _announcement(stored.order_id, after, 0, 0)


def _announcement(order_id: str, order: OrderView, version: int, clock_ms: int) -> OrderStatusChanged | None:
    terms = order.terms
    if terms is None:
        return None
    return OrderStatusChanged(
        order_id=order_id,
        version=version,
        client_id=terms.client_id,
        reference=terms.reference,
        payment_type=terms.payment_type,
        payment_method=terms.payment_method,
        psp=terms.psp,
        payment_order_status=order.status,
        attempt=order.attempt,
        amount=terms.amount,
        currency=terms.currency,
        amount_paid=order.amount_paid,
        amount_refunded=order.amount_refunded,
        amount_disputed=order.amount_disputed,
        flags=tuple(order.flags),
        changed_at=clock_ms // 1000,
    )
