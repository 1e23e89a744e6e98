"""What is said about a subscription of the shop that `tests.fakes.checkout_api` knows: by the worker and the PSP."""

from __future__ import annotations

from typing import Any

from payonce.domain.events import PspEvent
from payonce.domain.terms import Recurring, body_hash_of
from tests.fakes.checkout_api import API_VERSION, World, row, terms
from tests.fakes.order_messages import commanded, issued

CLUB = terms(payment_type="RECC", recurring=Recurring("month"))
ORDER_ID = row("created", CLUB).order_id


def subscription(name: str = "sub_1", status: str = "active", *, ends: bool = False) -> PspEvent:
    """The PSP's word on a subscription of this order."""
    named = {"order_id": ORDER_ID, "attempt": "1", "body_hash": body_hash_of(CLUB)}
    psp_object = {
        "id": name,
        "object": "subscription",
        "status": status,
        "metadata": named,
        "cancel_at_period_end": ends,
        "items": {"object": "list", "data": [{"object": "subscription_item", "current_period_end": 1_792_600_000}]},
    }
    kind = "deleted" if status == "canceled" else "updated"
    return PspEvent(
        f"evt_{name}_{status}", f"customer.subscription.{kind}", 1_790_000_100, False, API_VERSION, psp_object
    )


def invoice_paid(name: str = "in_1") -> PspEvent:
    """The first period is paid."""
    named = {"order_id": ORDER_ID, "attempt": "1", "body_hash": body_hash_of(CLUB)}
    psp_object = {
        "id": name,
        "object": "invoice",
        "status": "paid",
        "amount_paid": CLUB.amount,
        "amount_due": CLUB.amount,
        "attempt_count": 1,
        "currency": "eur",
        "period_start": 1_790_000_000,
        "period_end": 1_792_600_000,
        "parent": {"subscription_details": {"subscription": "sub_1", "metadata": named}},
    }
    return PspEvent(f"evt_{name}", "invoice.paid", 1_790_000_101, False, API_VERSION, psp_object)


def subscribed(*others: Any) -> World:
    """A world in which somebody has signed up, and then whatever is told."""
    world = World()
    world.archive.fold(commanded(posted=CLUB), issued(posted=CLUB), subscription(), invoice_paid(), *others)
    return world
