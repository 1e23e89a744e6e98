"""How the objects of the PSP in memory look where they are read whole: as the fold knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payonce.ports import Session


def amount_of(request: Mapping[str, Any]) -> int:
    """Return the amount of a registration request, in minor units."""
    amount: int = request["line_items"][0]["price_data"]["unit_amount"]
    return amount


def open_session(number: int, request: Mapping[str, Any], *, created: int) -> Session:
    """Return the session that a registration request makes: a page of the PSP's, or a secret for the shop's own."""
    on_shops_page = request.get("ui_mode") == "elements"
    return Session(
        session_id=f"cs_test_{number}",
        status="open",
        hosted_page_url=None if on_shops_page else f"https://pay.example/{number}",
        client_secret=f"cs_test_{number}_secret" if on_shops_page else None,
        expires_at=request["expires_at"],
        metadata=request["metadata"],
        created=created,
    )


def session_object(session: Session, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Checkout Session."""
    return {
        "id": session.session_id,
        "object": "checkout.session",
        "status": session.status,
        "payment_status": session.payment_status,
        "url": session.hosted_page_url,
        "expires_at": session.expires_at,
        "metadata": dict(session.metadata),
        "payment_intent": session.payment_intent,
        "amount_total": amount_of(request),
        "currency": "eur",
    }


def intent_object(session: Session, request: Mapping[str, Any], *, is_paid: bool) -> dict[str, Any]:
    """Return the PaymentIntent of a session that is paid, or being paid."""
    amount = amount_of(request)
    return {
        "id": f"pi_{session.session_id}",
        "object": "payment_intent",
        "status": "succeeded" if is_paid else "processing",
        "amount": amount,
        "amount_received": amount if is_paid else 0,
        "currency": "eur",
        "metadata": dict(session.metadata),
        "latest_charge": f"ch_{session.session_id}",
    }


def charge_object(intent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the charge of a PaymentIntent."""
    return {
        "id": intent["latest_charge"],
        "object": "charge",
        "payment_intent": intent["id"],
        "metadata": intent["metadata"],
    }


def refund_object(number: int, intent: Mapping[str, Any], amount: int, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return a refund that is on its way."""
    return {
        "id": f"re_{number}",
        "object": "refund",
        "status": "pending",
        "amount": amount,
        "currency": intent["currency"],
        "payment_intent": intent["id"],
        "charge": intent["latest_charge"],
        "metadata": dict(metadata),
    }
