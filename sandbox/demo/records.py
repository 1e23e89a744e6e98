"""What PostgreSQL says of the demo's orders."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, create_engine, text

_STATUSES = text("SELECT order_id, payment_order_status FROM payment_order WHERE order_id = ANY(:ids)")
_MONEY = text(
    """
    SELECT currency, sum(amount_paid - amount_refunded)::bigint
      FROM payment_order
     WHERE order_id = ANY(:ids)
     GROUP BY currency HAVING sum(amount_paid - amount_refunded) <> 0
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
        """Return what was received, less refunds, per currency."""
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(_MONEY, {"ids": list(order_ids)})}

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()
