"""What the PSP's own books say, as its simulator keeps them: the witness that has seen no part of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Statistics = Mapping[str, Any]  # Any: JSON


def money(statistics: Statistics) -> dict[str, int]:
    """Return per currency what payments brought, with what refunds and disputes took and gave back."""
    currencies = {*statistics["payments"], *statistics["moved"]}
    sums = {
        currency: statistics["payments"].get(currency, {}).get("amount", 0)
        + sum(statistics["moved"].get(currency, {}).values())
        for currency in currencies
    }
    return {currency: amount for currency, amount in sums.items() if amount}


def sessions_per_order(statistics: Statistics) -> dict[str, int]:
    """Return how many sessions were made for each order."""
    return {str(order): int(count) for order, count in statistics["sessions_per_order"].items() if order}
