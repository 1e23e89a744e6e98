"""From an order's view to its row and to what the world is told. Pure.

Nothing is announced before the terms are known, and nothing that the world has been told already; unless it may have
been told something else since, by rows that a restore has taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from payonce.codec import encode_body
from payonce.domain.events import OrderStatusChanged
from payonce.domain.order import Movement, OrderView, view
from payonce.domain.order_columns import columns_of
from payonce.domain.terms import Terms
from payonce.ports import OrderChange, StoredOrder


def change_of(stored: StoredOrder, facts: Mapping[str, Any], *, tell_again: bool = False) -> OrderChange:
    """Return what to write for an order whose facts have become `facts`.

    The version moves only with an announcement: past the last one and past the database's clock, so that it never goes
    back, not even after a restore from a backup.
    """
    order = view(facts)
    columns = columns_of(order)
    version, announcement = stored.version, None
    is_news = tell_again or not (stored.version and _is_as_announced(stored, columns))
    if order.terms is not None and is_news:
        version = max(stored.version + 1, stored.clock_ms)
        told = _announcement(stored.order_id, order, order.terms, version=version, changed_at=stored.clock_ms // 1000)
        announcement = encode_body(told)
    return OrderChange(
        stored.order_id, facts, columns, version, announcement, _movements(order), order.invoices or None
    )


def whole_change_of(stored: StoredOrder, facts: Mapping[str, Any]) -> OrderChange:
    """As `change_of`, for whoever does not trust the rows that are there: where none should be, they are deleted."""
    change = change_of(stored, facts)
    return replace(change, movements=change.movements or (), invoices=change.invoices or ())


def _movements(order: OrderView) -> tuple[Movement, ...] | None:
    """Return None only if there can never have been one: facts grow, but what they amount to may go back to nothing."""
    return order.movements if order.payments or order.refunds or order.disputes else None


def _is_as_announced(stored: StoredOrder, columns: Mapping[str, Any]) -> bool:
    """Compare with what was written, not with what the old facts would say: the rules may have changed meanwhile."""
    return all(columns[name] == value for name, value in stored.public.items())


def _announcement(
    order_id: str, order: OrderView, terms: Terms, *, version: int, changed_at: int
) -> OrderStatusChanged:
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
        changed_at=changed_at,
        failure_reason=order.failure_reason,
        evidence_due_by=order.deadlines.evidence_due_by,
        current_period_end=order.deadlines.current_period_end,
        cancel_at_period_end=order.deadlines.cancel_at_period_end,
        next_payment_attempt=order.deadlines.next_payment_attempt,
    )
