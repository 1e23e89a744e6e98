"""What Stripe's objects say about an order, read from them and not from their events: its status and its sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tests.simulation.fold_tables import MOVEMENTS, ORDERS
from tests.simulation.shop import Order
from tests.simulation.world import World

_CONTESTED = frozenset({"needs_response", "lost"})
_UNPAID = frozenset({"created", "expired", "registration_failed", "cancelled"})


def status_is_the_truth(world: World, orders: list[Order]) -> Iterator[str]:
    """6: the status is what Stripe knows."""
    for order in orders:
        row = world.database.tables.get(ORDERS, {}).get(order.order_id)
        if row is None:
            if order.accepted:
                yield f"order {order.number} was accepted and has no row"
            continue
        known = _at_stripe(world, order)
        status, flags = row[1]["payment_order_status"], row[1]["flags"]
        if known is not None and status not in known.statuses(order):
            yield f"order {order.number} is {status} {flags}, Stripe says {sorted(known.statuses(order))}"


def sums_are_the_truth(world: World, orders: list[Order]) -> Iterator[str]:
    """6: what was paid, sent back and disputed is what Stripe's objects add up to, and no more goes back than came."""
    for order in orders:
        row = world.database.tables.get(ORDERS, {}).get(order.order_id)
        known = None if row is None else _at_stripe(world, order)
        if row is None or known is None:
            continue
        names = ("amount_paid", "amount_refunded", "amount_disputed")
        stored, expected = tuple(row[1][name] for name in names), known.sums()
        if stored != expected:
            yield f"order {order.number}: paid, refunded, disputed are {stored}, Stripe says {expected}"
        if (moved := _moved(world, order)) != expected:
            yield f"order {order.number}: the movements say {moved}, Stripe says {expected}"
        if expected[1] > expected[0]:
            yield f"order {order.number}: {expected[1]} refunded of {expected[0]}"


def _moved(world: World, order: Order) -> tuple[int, int, int]:
    """Return the same three sums by the rows of payment_movement."""
    sums = {"charge": 0, "refund": 0, "dispute": 0}
    for (order_id, _), row in world.database.tables.get(MOVEMENTS, {}).items():
        if order_id == order.order_id:
            sums[row.reverses or row.kind] += row.amount
    return sums["charge"], -sums["refund"], -sums["dispute"]


@dataclass(frozen=True, slots=True)
class _AtStripe:
    """An order's objects."""

    money: list[dict[str, Any]]
    awaited: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    refunds: list[dict[str, Any]]
    disputes: list[dict[str, Any]]

    def statuses(self, order: Order) -> frozenset[str]:
        """Return the statuses that the objects allow."""
        if self.money:
            return frozenset({self._paid_status(order)})
        if self.awaited:
            return frozenset({"processing"})
        return _UNPAID | {"failed"} if self.failed else _UNPAID

    def sums(self) -> tuple[int, int, int]:
        """Return what was paid, what went back or is on its way back, and what disputes hold or took."""
        held = [each for each in self.disputes if each["status"] in _CONTESTED]
        return _sum(self.money), _sum(self.refunds), _sum(held)

    def _paid_status(self, order: Order) -> str:
        disputes = {each["status"] for each in self.disputes}
        paid, refunded, _ = self.sums()
        is_due = any(self.money[0]["amount"] == body.amount for body in order.bodies)
        rows = (
            ("charged_back", "lost" in disputes),
            ("disputed", "needs_response" in disputes),
            ("refunded", refunded >= paid),
            ("processing", not is_due),
            ("partially_refunded", refunded > 0),
            ("paid", True),
        )
        return next(status for status, holds in rows if holds)


def _at_stripe(world: World, order: Order) -> _AtStripe | None:
    """Return what Stripe has; None where it cannot be expected to be known: late born, or left to ops."""
    psp = world.psp
    sessions = [record for record in psp.sessions.values() if record.metadata.get("order_id") == order.order_id]
    paid = [intent for intent in psp.intents.values() if intent["metadata"].get("order_id") == order.order_id]
    charges = {intent["latest_charge"] for intent in paid} - {None}
    buried = {letter.header("ce_id") for letter in world.log.topic("payments.webhooks.dlt")}
    if any(record.is_late_born for record in sessions) or not buried.isdisjoint(_events_of_reversals(world, charges)):
        return None
    by_status: dict[str, list[dict[str, Any]]] = {}
    for intent in paid:
        by_status.setdefault(intent["status"], []).append(intent)
    return _AtStripe(
        money=by_status.get("succeeded", []),
        awaited=by_status.get("processing", []),
        failed=by_status.get("requires_payment_method", []),
        refunds=[each for each in psp.refunds.values() if each["charge"] in charges and each["status"] != "failed"],
        disputes=[each for each in psp.disputes.values() if each["charge"] in charges],
    )


def _events_of_reversals(world: World, charges: set[str]) -> Iterator[str]:
    """Yield the events of an order's refunds and disputes: one that came a day before its payment is for ops."""
    for happening in world.psp.events:
        subject = orjson.loads(happening.body)["data"]["object"]
        if subject.get("charge") in charges:
            yield happening.event_id


def _sum(objects: list[dict[str, Any]] | list[Mapping[str, Any]]) -> int:
    return sum(each["amount"] for each in objects)
