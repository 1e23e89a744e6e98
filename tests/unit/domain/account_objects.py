"""The PSP's objects as an `Account` sends them: in the shape of the documentation, without what nobody reads here."""

from __future__ import annotations

from typing import Any

START, MONTH = 1_790_000_000, 2_600_000


def session_object(session_id: str, amount: int, metadata: dict[str, str], **changes: Any) -> dict[str, Any]:
    """A Checkout Session, completed and paid unless it is changed."""
    return {
        "id": session_id,
        "object": "checkout.session",
        "mode": "payment",
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": None,
        "invoice": None,
        "subscription": None,
        "amount_total": amount,
        "currency": "eur",
        "url": None,
        "metadata": metadata,
        **changes,
    }


def intent_object(intent: str, amount: int, metadata: dict[str, str], status: str = "succeeded") -> dict[str, Any]:
    """A PaymentIntent."""
    return {
        "id": intent,
        "object": "payment_intent",
        "status": status,
        "amount": amount,
        "amount_received": amount,
        "currency": "eur",
        "latest_charge": f"ch_{intent}",
        "metadata": metadata,
    }


def charge_object(intent: str) -> dict[str, Any]:
    """The charge of a PaymentIntent."""
    return {"id": f"ch_{intent}", "object": "charge", "payment_intent": intent, "metadata": {}}


def refund_object(refund: str, intent: str, amount: int) -> dict[str, Any]:
    """A refund that is on its way."""
    return {
        "id": refund,
        "object": "refund",
        "amount": amount,
        "currency": "eur",
        "status": "pending",
        "payment_intent": intent,
        "charge": f"ch_{intent}",
        "metadata": {},
    }


def dispute_object(dispute: str, intent: str, amount: int, status: str, due_by: int) -> dict[str, Any]:
    """A dispute that has not moved any money yet."""
    return {
        "id": dispute,
        "object": "dispute",
        "amount": amount,
        "currency": "eur",
        "status": status,
        "reason": "fraudulent",
        "payment_intent": intent,
        "charge": f"ch_{intent}",
        "balance_transactions": [],
        "evidence_details": {"due_by": due_by},
        "metadata": {},
    }


def subscription_object(
    subscription: str, period: int, metadata: dict[str, str], status: str = "active", **changes: Any
) -> dict[str, Any]:
    """A subscription in its period of that number."""
    item = {"id": "si_1", "object": "subscription_item", "current_period_end": START + (period + 1) * MONTH}
    return {
        "id": subscription,
        "object": "subscription",
        "status": status,
        "cancel_at_period_end": False,
        "cancel_at": None,
        "items": {"object": "list", "data": [item]},
        "metadata": metadata,
        **changes,
    }


def invoice_object(
    invoice: str, subscription: str, period: int, *, amount: int, reason: str, metadata: dict[str, str]
) -> dict[str, Any]:
    """An open invoice; its own period is the one before that which it bills."""
    begins = START + period * MONTH
    service = {"id": "il_1", "object": "line_item", "period": {"start": begins, "end": begins + MONTH}}
    details = {"subscription": subscription, "metadata": metadata}
    return {
        "id": invoice,
        "object": "invoice",
        "status": "open",
        "amount_due": amount,
        "amount_paid": 0,
        "currency": "eur",
        "attempt_count": 0,
        "next_payment_attempt": None,
        "billing_reason": reason,
        "period_start": begins - MONTH,
        "period_end": begins,
        "lines": {"object": "list", "data": [service]},
        "metadata": {},
        "parent": {"type": "subscription_details", "subscription_details": details},
    }
