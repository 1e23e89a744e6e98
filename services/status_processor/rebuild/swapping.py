"""The rebuilt content put into the live tables, in one transaction, announcing only what differs."""

from __future__ import annotations

from collections.abc import Mapping

from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.order_scan import snapshot
from payonce.adapters.postgres import Database
from payonce.adapters.rebuild_tables import delete_orders, hold_writers, replace_beside_orders
from payonce.ports import TopicPartition
from services.status_processor.announcing import whole_change_of
from services.status_processor.rebuild.rebuilding import Compared

_PAGE = 500


async def swap(live: PostgresFoldStore, made: Database, compared: Compared) -> int:
    """Make the live rows what the rebuilt ones are; return how many orders are announced.

    Versions go on from the live ones. Nothing is changed if it raises: RebuildRefused (a status_processor is running),
    PositionMoved (one has folded since the comparison), StoreUnavailable.
    """
    differing = [*compared.comparison.missing, *compared.comparison.changed]
    announced = 0
    async with live.transaction() as transaction:
        positions: Mapping[TopicPartition, int] = compared.positions
        await transaction.run(lambda connection: hold_writers(connection, dict(positions)))
        for page in _pages(sorted(differing)):
            with snapshot(made) as scan:
                rebuilt = scan.orders_of(page)
            stored = await transaction.lock(page)
            changes = [whole_change_of(stored[each], rebuilt[each].facts) for each in page]
            await transaction.save(changes, {})
            announced += sum(change.announcement is not None for change in changes)
        await transaction.run(lambda connection: delete_orders(connection, compared.comparison.surplus))
        await transaction.run(replace_beside_orders)
    return announced


def _pages(order_ids: list[str]) -> list[list[str]]:
    return [order_ids[start : start + _PAGE] for start in range(0, len(order_ids), _PAGE)]
