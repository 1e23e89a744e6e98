"""What we want of the PSP's events: which types, and where in the log an event lies.

The same for events that the PSP pushes and for those that we fetch, so that one event has one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from payonce.domain.psp_objects import is_order_id

#: What the webhook endpoint subscribes to. Objects are told by their own events; `*.created` and `invoice.updated` only
#: add volume.
WANTED_TYPES: Final = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.canceled",
    "charge.succeeded",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.finalization_failed",
    "invoice.marked_uncollectible",
    "invoice.voided",
    "invoice_payment.paid",
)


def record_key(event: Mapping[str, Any]) -> str:
    """Return the order id that the event's metadata names, else the id of the PSP's object.

    The key only places the record, so that one object's events stay in order; whose event it is the fold decides. Pure.
    """
    subject = _mapping(_mapping(event.get("data")).get("object"))
    details = _mapping(_mapping(subject.get("parent")).get("subscription_details"))
    for holder in (subject, details):
        named = _mapping(holder.get("metadata")).get("order_id")
        if is_order_id(named):
            return named
    ids = (subject.get("id"), subject.get("payment_intent"), event.get("id"))
    return next(found for found in ids if isinstance(found, str) and found)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
