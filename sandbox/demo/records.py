"""What PostgreSQL says of the demo's orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Engine, create_engine, text

_STATUSES = text("SELECT order_id, payment_order_status FROM payment_order WHERE order_id = ANY(:ids)")
_MONEY = text(
    """
    SELECT currency, sum(amount_paid - amount_refunded - amount_disputed)::bigint
      FROM payment_order
     WHERE order_id = ANY(:ids)
     GROUP BY currency HAVING sum(amount_paid - amount_refunded - amount_disputed) <> 0
    """
)
_MOVEMENTS = text("SELECT order_id, kind, currency, amount FROM payment_movement WHERE order_id = ANY(:ids)")
_MOVED = text(
    """
    SELECT currency, sum(amount)::bigint
      FROM payment_movement
     WHERE order_id = ANY(:ids)
     GROUP BY currency HAVING sum(amount) <> 0
    """
)


class Records:
    """Read only, blocking."""

    def __init__(self, database_url: str) -> None:
        self._engine: Engine = create_engine(database_url, pool_size=1, pool_pre_ping=True)

    def statuses(self, order_ids: Sequence[str]) -> dict[str, str]:
        """Return the recorded status of each order that has a row."""
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(_STATUSES, {"ids": list(order_ids)})}

    def money(self, order_ids: Sequence[str]) -> dict[str, int]:
        """Return what was received, less refunds and disputes, per currency."""
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(_MONEY, {"ids": list(order_ids)})}

    def moved(self, order_ids: Sequence[str]) -> dict[str, int]:
        """Return the sum of all movements of money, per currency."""
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(_MOVED, {"ids": list(order_ids)})}

    def movements(self, order_ids: Sequence[str]) -> dict[str, Counter[tuple[str, str, int]]]:
        """Return each order's movements of money: kind, currency and signed amount, and how often."""
        found: dict[str, Counter[tuple[str, str, int]]] = {order_id: Counter() for order_id in order_ids}
        with self._engine.connect() as connection:
            for order_id, kind, currency, amount in connection.execute(_MOVEMENTS, {"ids": list(order_ids)}):
                found[order_id][kind, currency, amount] += 1
        return found

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()
