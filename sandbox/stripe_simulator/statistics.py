"""What the simulator has seen and holds, in numbers: the other side of every reconciliation in tests and demo."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.stripe_simulator.simulator import Simulator
    from sandbox.stripe_simulator.state import Json, SessionRecord

_SHOWN = (
    "id",
    "mode",
    "status",
    "payment_status",
    "amount_total",
    "currency",
    "payment_intent",
    "subscription",
    "url",
    "client_secret",
    "client_reference_id",
    "metadata",
    "created",
    "expires_at",
)


def statistics(simulator: Simulator) -> Json:
    """Count calls, limits, sessions, money, events and webhooks."""
    store = simulator.store
    limits = simulator.limits
    return {
        "now": simulator.clock.now(),
        "calls": dict(limits.calls),
        "most_calls_per_second": limits.most_per_second(),
        "rate_limited": dict(limits.refused),
        "faults_injected": dict(simulator.faults.injected),
        "idempotency_keys": len(simulator.keys),
        "sessions": Counter(record.object["status"] for record in store.sessions),
        "sessions_per_order": Counter(_order_id(record) for record in store.sessions),
        "open_sessions_per_order": Counter(_order_id(record) for record in store.sessions if record.is_open),
        "payments": _money(simulator),
        "refunds": Counter(refund["status"] for refund in store.refunds),
        "refunds_per_reference": Counter(_refund_reference(refund) for refund in store.refunds),
        "refunded": _refunded(simulator),
        "disputes": Counter(dispute["status"] for dispute in store.disputes),
        "moved": _moved(simulator),
        "subscriptions": Counter(record.object["status"] for record in store.subscriptions),
        "live_subscriptions_per_order": Counter(
            str(record.object["metadata"].get("order_id", "")) for record in store.subscriptions if record.is_live
        ),
        "invoices": Counter(invoice["status"] for invoice in store.invoices),
        "payment_intents": Counter(intent["status"] for intent in store.payment_intents),
        "events": Counter(record.type for record in store.events),
        "webhooks": {**simulator.webhooks.counts, **simulator.webhooks.backlog()},
    }


def session_row(record: SessionRecord) -> Json:
    """One session as a script needs it; `order_id` is the one in its metadata."""
    session = record.object
    return {
        **{name: session[name] for name in _SHOWN},
        "order_id": _order_id(record),
        "error": record.error,
        "confirmations": record.confirmations,
    }


def _refund_reference(refund: Json) -> str:
    """Name a refund as its sender did: order id and refund reference of its metadata."""
    metadata = refund["metadata"]
    return f"{metadata.get('order_id', '')}/{metadata.get('refund_reference', '')}"


def _refunded(simulator: Simulator) -> dict[str, dict[str, int]]:
    """Refunds per currency that are on their way or done: how many, and their sum in minor units."""
    money: dict[str, dict[str, int]] = {}
    for refund in simulator.store.refunds:
        if refund["status"] in {"pending", "succeeded"}:
            sums = money.setdefault(refund["currency"], {"count": 0, "amount": 0})
            sums["count"] += 1
            sums["amount"] += refund["amount"]
    return money


def _moved(simulator: Simulator) -> dict[str, dict[str, int]]:
    """Sum what refunds and disputes moved, in minor units, per currency and category; fees are left out."""
    sums: dict[str, dict[str, int]] = {}
    for transaction in simulator.store.balance_transactions:
        of_currency = sums.setdefault(transaction["currency"], {})
        category = transaction["reporting_category"]
        of_currency[category] = of_currency.get(category, 0) + transaction["amount"]
    return sums


def _money(simulator: Simulator) -> dict[str, dict[str, int]]:
    """Succeeded payments per currency: how many, and their sum in minor units."""
    money: dict[str, dict[str, int]] = {}
    for intent in simulator.store.payment_intents:
        if intent["status"] == "succeeded":
            sums = money.setdefault(intent["currency"], {"count": 0, "amount": 0})
            sums["count"] += 1
            sums["amount"] += intent["amount_received"]
    return money


def _order_id(record: SessionRecord) -> str:
    return str(record.object["metadata"].get("order_id", ""))
