"""The rebuild itself: refold what the live rows have folded, compare at exactly that point, perhaps replace.

The comparison holds one snapshot of the live tables and folds on to the positions that the snapshot names, so it is
exact while the workers go on. It refuses a log whose beginning is gone: a backup is then the way, and catches up by
itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from payonce.adapters.order_scan import OrderScan, snapshot
from payonce.adapters.postgres import Database
from payonce.adapters.rebuild_tables import RebuildRefused
from payonce.catalog import has_predecessors
from payonce.ports import Clock, TopicPartition
from services.status_processor.rebuild.comparing import Comparison, Difference, compare, difference
from services.status_processor.rebuild.refolding import Refolding

#: Longer than the workers' sweep for events that crossed with their order.
_CROSSED_SECONDS = 75.0
_LOOK_SECONDS = 1.0


class LogBounds(Protocol):
    """What the log still holds."""

    def bounds(self, topics: Sequence[str]) -> Mapping[TopicPartition, tuple[int, int]]:
        """Return first kept and next offset of every partition."""
        ...


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison, and the positions that both sides had folded to."""

    comparison: Comparison
    positions: Mapping[TopicPartition, int]


class Rebuild:
    """Works on the live tables (`live`, read only here) and on rebuilt ones (`made`)."""

    def __init__(self, live: Database, made: Database, refolding: Refolding, clock: Clock) -> None:
        self._live = live
        self._made = made
        self._refolding = refolding
        self._clock = clock

    async def compare(self) -> Compared:
        """Fold up to where the live rows are and compare. Raises RebuildRefused if nothing has been folded there."""
        await self._refolding.advance(self._live_positions())
        deadline = self._clock.monotonic() + _CROSSED_SECONDS
        while True:
            with snapshot(self._live) as live:
                compared = await self._compare(live)
                waits_for_sweep = not compared.comparison.equal and live.crossed()
            if not waits_for_sweep or self._clock.monotonic() > deadline:
                return compared
            await self._clock.sleep(_LOOK_SECONDS)

    def details(self, order_ids: Sequence[str]) -> list[Difference]:
        """Return what differs of these orders now; those that have become equal meanwhile are left out."""
        with snapshot(self._live) as live, snapshot(self._made) as made:
            ours, theirs = live.orders_of(order_ids), made.orders_of(order_ids)
        found = [difference(each, ours.get(each), theirs.get(each)) for each in order_ids if each in ours | theirs]
        return [each for each in found if each.kind != "changed" or each.columns]

    async def _compare(self, live: OrderScan) -> Compared:
        positions = live.positions()
        await self._refolding.advance(positions)
        with snapshot(self._made) as made:
            comparison = compare((live.digests(), live.owners()), (made.digests(), made.owners()))
        return Compared(comparison, positions)

    def _live_positions(self) -> dict[TopicPartition, int]:
        with snapshot(self._live) as live:
            positions = live.positions()
        if not positions:
            raise RebuildRefused("the live tables hold no position: start a status_processor, it folds everything")
        return positions


def refuse_truncated(log: LogBounds, topics: Sequence[str]) -> None:
    """Raise RebuildRefused if a topic no longer begins at its beginning, or that is not the beginning of its orders."""
    if grown := [name for name in topics if has_predecessors(name)]:
        raise RebuildRefused(
            f"{grown[0]} took over from an older topic, so the topics tell of the newer orders only: restore a backup "
            "instead, the status_processor reads on from its fold_position"
        )
    cut = [f"{place.topic}/{place.partition}" for place, (low, _) in sorted(log.bounds(topics).items()) if low > 0]
    if cut:
        raise RebuildRefused(
            f"{len(cut)} partitions no longer hold their first records ({cut[0]} ...): restore a backup instead, "
            "the status_processor reads on from its fold_position"
        )
