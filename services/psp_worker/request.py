"""From a command to the exact parameters of Stripe's create call: a pure function, no clock, no random value.

Whoever tries again sends the same bytes, so nothing here may depend on when or where it runs.
"""

from __future__ import annotations

from typing import Any

from payonce.domain.commands import RegisterPayment


class UnsupportedRegistration(Exception):
    """The command is valid, but this version registers only SALE paid on the PSP's page (APM)."""


def registration_request(command: RegisterPayment) -> dict[str, Any]:
    """Return the parameters for a Checkout Session. Raises UnsupportedRegistration."""
    terms = command.terms
    if (terms.payment_type, terms.payment_method) != ("SALE", "APM"):
        raise UnsupportedRegistration(f"{terms.payment_type} with {terms.payment_method} is not offered")
    metadata = _metadata(command)
    request: dict[str, Any] = {
        "mode": "payment",
        "ui_mode": "hosted_page",
        "client_reference_id": command.order_id,
        "metadata": metadata,
        # Refunds, disputes and the payment itself are announced with the PaymentIntent's metadata, not the session's.
        "payment_intent_data": {"metadata": dict(metadata)},
        "line_items": [_line_item(command)],
        "success_url": command.success_url,
        "cancel_url": command.cancel_url,
        "expires_at": command.expires_at,
    }
    if terms.customer_email is not None:
        request["customer_email"] = terms.customer_email
    return request


def registration_key(order_id: str, attempt: int) -> str:
    """Return the key of every try of this attempt. Each kind of call has its own: Stripe binds a key to an endpoint."""
    return f"{order_id}:register:{attempt}"


def _metadata(command: RegisterPayment) -> dict[str, str]:
    return {"order_id": command.order_id, "attempt": str(command.attempt), "body_hash": command.body_hash}


def _line_item(command: RegisterPayment) -> dict[str, Any]:
    terms = command.terms
    name = terms.description or f"Order {terms.reference}"
    return {
        "quantity": 1,
        "price_data": {"currency": terms.currency, "unit_amount": terms.amount, "product_data": {"name": name}},
    }
