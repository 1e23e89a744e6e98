"""After a change of rules: what every order's stored facts amount to now, written where it differs.

It reads no topic and changes no fact. Orders are locked in the order of their ids, page by page, so workers go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.order_scan import OrderScan, ScannedOrder, snapshot, told_by
from payonce.adapters.postgres import Database
from services.status_processor.announcing import whole_change_of
from services.status_processor.rebuild.comparing import Difference

EXAMPLES = 20
_PAGE = 500


@dataclass(slots=True)
class Recomputed:
    """What it found: `by_column` counts the orders whose column changes, `statuses` each (was, is) of the status.

    An order's movements of money and its invoices count as a column each.
    """

    orders: int = 0
    changed: int = 0
    announced: int = 0
    by_column: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[Difference] = field(default_factory=list)

    def add(self, order: ScannedOrder, expected: Mapping[str, Any]) -> bool:
        """Compare a row with what its facts amount to; return whether it differs."""
        self.orders += 1
        was = order.told()
        changes = {name: (was[name], now) for name, now in expected.items() if was[name] != now}
        if not changes:
            return False
        self.changed += 1
        self.by_column.update(changes.keys())
        if "payment_order_status" in changes:
            self.statuses[changes["payment_order_status"]] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(Difference(order.order_id, "changed", changes))
        return True


def foresee(database: Database) -> Recomputed:
    """Return what `recompute` would change, from one snapshot. Blocking, writes nothing. Raises StoreUnavailable."""
    result = Recomputed()
    with snapshot(database) as scan:
        for order in scan.orders():
            result.add(order, told_by(order.facts))
    return result


async def recompute(store: PostgresFoldStore, *, page: int = _PAGE) -> Recomputed:
    """Write and announce what changes, a page of orders per transaction. Idempotent; may be stopped and run again.

    Raises StoreUnavailable; what was written until then stays.
    """
    result = Recomputed()
    after: str | None = ""
    while after is not None:
        after = await _recompute_page(store, result, after, page)
    return result


async def _recompute_page(store: PostgresFoldStore, result: Recomputed, after: str, page: int) -> str | None:
    async with store.transaction() as transaction:
        order_ids = await transaction.run(lambda connection: OrderScan(connection).order_ids_after(after, page))
        stored = await transaction.lock(order_ids)
        # Read again under the locks: the columns that no announcement shows are not part of what `lock` returns.
        rows = await transaction.run(lambda connection: OrderScan(connection).orders_of(order_ids))
        changes = []
        for order_id in order_ids:
            change = whole_change_of(stored[order_id], stored[order_id].facts)
            if result.add(rows[order_id], told_by(stored[order_id].facts)) or change.announcement is not None:
                changes.append(change)
        if changes:
            await transaction.save(changes, {})
        result.announced += sum(change.announcement is not None for change in changes)
    return order_ids[-1] if len(order_ids) == page else None
