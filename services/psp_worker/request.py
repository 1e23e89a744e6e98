"""From a command to the exact parameters of Stripe's create call: a pure function, no clock, no random value.

Whoever tries again sends the same bytes, so nothing here may depend on when or where it runs, the order of the
parameters included.
"""

from __future__ import annotations

from typing import Any

from payonce.domain.commands import RegisterPayment
from payonce.domain.terms import Recurring, Terms


class UnsupportedRegistration(Exception):
    """The command is a subscription that does not say how often it is billed: it cannot be registered."""


def registration_request(command: RegisterPayment) -> dict[str, Any]:
    """Return the parameters for a Checkout Session. Raises UnsupportedRegistration."""
    terms, metadata = command.terms, _metadata(command)
    recurring = _recurring(terms)
    request: dict[str, Any] = {
        "mode": "payment" if recurring is None else "subscription",
        "ui_mode": "elements" if terms.payment_method == "CARD" else "hosted_page",
        "client_reference_id": command.order_id,
        "metadata": metadata,
        **_copied(metadata, recurring),
        "line_items": [_line_item(terms, recurring)],
        **_way_back(command),
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


def _recurring(terms: Terms) -> Recurring | None:
    if terms.payment_type == "RECC" and terms.recurring is None:
        raise UnsupportedRegistration("RECC without `recurring`: nobody knows how often to bill it")
    return terms.recurring if terms.payment_type == "RECC" else None


def _copied(metadata: dict[str, str], recurring: Recurring | None) -> dict[str, Any]:
    """Return what the payment or the subscription is made with.

    Refunds, disputes, invoices and the payment itself are announced with its metadata, not with the session's.
    """
    if recurring is None:
        return {"payment_intent_data": {"metadata": dict(metadata)}}
    subscription: dict[str, Any] = {"metadata": dict(metadata)}
    if recurring.trial_days is not None:
        subscription["trial_period_days"] = recurring.trial_days
    return {"subscription_data": subscription}


def _line_item(terms: Terms, recurring: Recurring | None) -> dict[str, Any]:
    name = terms.description or f"Order {terms.reference}"
    price: dict[str, Any] = {
        "currency": terms.currency,
        "unit_amount": terms.amount,
        "product_data": {"name": name},
    }
    if recurring is not None:
        price["recurring"] = {"interval": recurring.interval, "interval_count": recurring.interval_count}
    return {"quantity": 1, "price_data": price}


def _way_back(command: RegisterPayment) -> dict[str, Any]:
    """Return where the customer goes from the PSP's page; who leaves card fields unpaid is on the shop's page still."""
    if command.terms.payment_method == "CARD":
        return {"return_url": command.success_url, "allowed_payment_method_types": ["card"]}
    return {"success_url": command.success_url, "cancel_url": command.cancel_url}
