"""Balance transactions: what refunds and disputes take from the account and give back, in minor units.

Charges have none here: Stripe makes them later than the charge, and nobody asks the simulator for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.ids import Ids
    from sandbox.stripe_simulator.state import Json, Store


class Balance:
    """Writes the movements of money down; nothing is ever changed or taken back, only moved again."""

    def __init__(self, clock: Clock, ids: Ids, store: Store) -> None:
        self._clock = clock
        self._ids = ids
        self._store = store

    def move(self, source: Json, kind: str, category: str, amount: int, fee: int = 0) -> Json:
        """Record `amount` (negative: out of the account) for a refund or dispute; the fee comes on top."""
        created, currency = self._clock.seconds(), source["currency"]
        transaction = {
            "id": self._ids.object("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": created,
            "balance_type": "payments",
            "created": created,
            "currency": currency,
            "description": f"{category} of {source['charge']}",
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [_fee_detail(fee, currency)] if fee else [],
            "net": amount - fee,
            "reporting_category": category,
            "source": source["id"],
            "status": "available",
            "type": kind,
        }
        self._store.balance_transactions.add(transaction)
        return transaction


def _fee_detail(fee: int, currency: str) -> Json:
    return {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": "Dispute fee",
        "type": "stripe_fee",
    }
