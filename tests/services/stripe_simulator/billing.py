"""Orders of subscriptions, as tests make and pay them."""

from __future__ import annotations

from typing import Any

import stripe

from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import order

DAY, HOUR = 86_400, 3600
VISA, KEPT_BUT_DECLINED, ALWAYS_ASKS = "4242424242424242", "4000000000000341", "4000002760003184"


def tea(interval: str = "month", count: int = 1, amount: int = 900, quantity: int = 1) -> dict[str, Any]:
    """Make a line item that comes again and again."""
    data = {
        "currency": "eur",
        "unit_amount": amount,
        "product_data": {"name": "Tea club"},
        "recurring": {"interval": interval, "interval_count": count},
    }
    return {"price_data": data, "quantity": quantity}


def subscription_order(**changes: Any) -> Any:  # Any: the SDK's parameters are typed dictionaries
    """Parameters of a session in subscription mode as the worker sends them."""
    data = {"metadata": {"order_id": "ord_1", "attempt": "1"}, **changes.pop("subscription_data", {})}
    return order(
        **{
            "mode": "subscription",
            "payment_intent_data": None,
            "subscription_data": data,
            "line_items": [tea()],
            **changes,
        }
    )


def subscribed(simulator: SimulatorServer, client: stripe.StripeClient, **changes: Any) -> str:
    """Subscribe and return the subscription's id; `card` pays, everything else changes the order."""
    card = changes.pop("card", VISA)
    session = client.v1.checkout.sessions.create(subscription_order(**changes))
    return str(simulator.control.pay(session.id, card=card)["subscription"])


def event_types(client: stripe.StripeClient) -> list[str]:
    """Oldest first, without those that nobody subscribes to."""
    skipped = {"customer.created", "payment_intent.created", "invoice.created", "invoice.finalized"}
    types = [str(event.type) for event in client.v1.events.list({"limit": 100}).data][::-1]
    return [name for name in types if name not in skipped | {"invoice.payment_succeeded"}]


def period_end(client: stripe.StripeClient, subscription: str) -> int:
    return int(client.v1.subscriptions.retrieve(subscription)["items"].data[0].current_period_end)


def to_next_period(simulator: SimulatorServer, client: stripe.StripeClient, subscription: str) -> None:
    """Move the clock over the end of the period and the hour in which the new invoice is a draft."""
    left = period_end(client, subscription) - simulator.control.stats()["now"]
    simulator.control.advance_clock(left + HOUR + 1)
