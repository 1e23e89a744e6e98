"""The orders that this shop process has placed, newest first. In memory and bounded: a real shop has a database."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.demo_shop.api_client import PaymentOrder

MOST_ORDERS = 500


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that the payment service has accepted."""

    order: PaymentOrder
    description: str


class OrderBook:
    """Remembers placed orders; the oldest are forgotten."""

    def __init__(self) -> None:
        self._placed: dict[str, Placed] = {}

    def remember(self, order: PaymentOrder, description: str) -> None:
        """Write an order down. Idempotent."""
        self._placed.setdefault(order.id, Placed(order, description))
        while len(self._placed) > MOST_ORDERS:
            del self._placed[next(iter(self._placed))]

    def get(self, order_id: str) -> Placed | None:
        """Return an order of this process."""
        return self._placed.get(order_id)

    def newest(self, limit: int) -> list[Placed]:
        """Return the newest orders, newest first."""
        return list(reversed(self._placed.values()))[:limit]
