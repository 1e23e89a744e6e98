"""The subscriptions of the PSP in memory: begun when a session is paid, renewed by the test, ended by the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payonce.domain.commands import SubscriptionEnd
from payonce.ports import GatewayFailure, Session
from tests.fakes.psp_objects import amount_of

_PERIOD_SECONDS = 30 * 86_400


class MemorySubscriptions:
    """Subscriptions, their invoices and the PaymentIntents that paid these, whole as the PSP shows them."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.invoices: dict[str, dict[str, Any]] = {}
        self.of_session: dict[str, dict[str, str]] = {}  # what a paid session names

    def begin(self, session: Session, request: Mapping[str, Any], now: int) -> dict[str, Any] | None:
        """Make the subscription of a session and its first invoice; return the PaymentIntent, None if nothing is due.

        It carries none of our metadata: that is the subscription's.
        """
        data = request["subscription_data"]
        subscription: dict[str, Any] = {
            "id": f"sub_{session.session_id}",
            "object": "subscription",
            "status": "trialing" if "trial_period_days" in data else "active",
            "metadata": dict(data["metadata"]),
            "cancel_at_period_end": False,
            "cancel_at": None,
            "ended_at": None,
            "latest_invoice": None,
            "_period_end": now + _PERIOD_SECONDS,
            "_amount": amount_of(request),
        }
        self.subscriptions[subscription["id"]] = subscription
        amount = 0 if "trial_period_days" in data else subscription["_amount"]
        intent = self._bill(subscription, f"in_{session.session_id}", amount)
        self.of_session[session.session_id] = {
            "subscription": subscription["id"],
            "invoice": f"in_{session.session_id}",
        }
        return intent

    def renew(self, subscription_id: str, number: int) -> dict[str, Any] | None:
        """Make and pay the invoice of another period; return its PaymentIntent."""
        subscription = self.subscriptions[subscription_id]
        subscription["_period_end"] += _PERIOD_SECONDS
        return self._bill(subscription, f"in_{subscription_id}_{number}", subscription["_amount"])

    def end(
        self, subscription_id: str, at: SubscriptionEnd, now: int, metadata: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """End one as the API does: what has ended is gone, or cannot be changed."""
        subscription = self.subscriptions.get(subscription_id)
        if subscription is None or (subscription["status"] == "canceled" and at == "now"):
            raise GatewayFailure("permanent", "no such subscription", http_status=404, code="resource_missing")
        if subscription["status"] == "canceled":
            raise GatewayFailure("permanent", "a canceled subscription can only be remarked", http_status=400)
        if at == "now":
            subscription |= {"status": "canceled", "ended_at": now}
        else:
            subscription |= {"cancel_at_period_end": True, "cancel_at": subscription["_period_end"]}
            subscription["metadata"] = {**subscription["metadata"], **(metadata or {})}
        return subscription

    def take_back(self, subscription_id: str) -> None:
        """Let somebody in the PSP's dashboard decide that it goes on after all."""
        self.subscriptions[subscription_id] |= {"cancel_at_period_end": False, "cancel_at": None}

    def _bill(self, subscription: dict[str, Any], invoice_id: str, amount: int) -> dict[str, Any] | None:
        subscription["latest_invoice"] = invoice_id
        details = {"subscription": subscription["id"], "metadata": subscription["metadata"]}
        self.invoices[invoice_id] = {
            "id": invoice_id,
            "object": "invoice",
            "status": "paid",
            "amount_due": amount,
            "amount_paid": amount,
            "attempt_count": 1,
            "period_start": subscription["_period_end"] - _PERIOD_SECONDS,
            "period_end": subscription["_period_end"],
            "currency": "eur",
            "metadata": {},
            "parent": {"type": "subscription_details", "subscription_details": details},
        }
        if not amount:
            return None
        return {
            "id": f"pi_{invoice_id}",
            "object": "payment_intent",
            "status": "succeeded",
            "amount": amount,
            "amount_received": amount,
            "currency": "eur",
            "metadata": {},
            "latest_charge": f"ch_{invoice_id}",
            "invoice": invoice_id,
        }


def invoice_payment_object(intent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the link between an invoice and the PaymentIntent that paid it."""
    return {
        "id": f"inpay_{intent['id']}",
        "object": "invoice_payment",
        "status": "paid",
        "invoice": intent["invoice"],
        "payment": {"type": "payment_intent", "payment_intent": intent["id"]},
    }
