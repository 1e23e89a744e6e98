"""The drift report: each order touched lately, as PostgreSQL has it and as the PSP does. It can ask for a repair.

It repairs nothing itself: `fix` sends the command that has the PSP worker read the order, and the fold does the rest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from payonce.codec import outgoing
from payonce.ports import Clock, LogProducer, PspReads, ReconcilerReport, StuckOrder, TouchedOrder
from services.reconciler.drift import Finding, compare
from services.reconciler.overdue_orders import SOURCE
from services.reconciler.rules import WATCHED, refresh_of_drift

_PAGE = 200
_MOST_STUCK = 100


@dataclass(frozen=True, slots=True)
class Report:
    """Reads through paced `reads`. Every method raises StoreUnavailable, GatewayFailure or PublishFailed."""

    reads: PspReads
    orders: ReconcilerReport
    log: LogProducer
    clock: Clock
    api_version: str

    async def findings(self, since: int, *, fix: bool) -> AsyncIterator[Finding]:
        """Yield every order touched since then (unix seconds); with `fix`, drift is first sent to be read again."""
        after = ""
        while page := await self.orders.touched(since=since, after=after, limit=_PAGE):
            for order in page:
                finding = await self._finding(order)
                if fix and finding.is_drift:
                    await self._repair(order)
                yield finding
            after = page[-1].order_id

    async def stuck(self) -> list[StuckOrder]:
        """Return the orders that are longer in their status than they should be, the oldest first."""
        limits = {status: watch.stuck_after for status, watch in WATCHED.items()}
        return list(await self.orders.stuck(limits, limit=_MOST_STUCK))

    async def _finding(self, order: TouchedOrder) -> Finding:
        objects: list[Mapping[str, Any]] = []
        missing: list[str] = []
        for session_id in order.session_ids:
            session = await self.reads.object(session_id)
            if session is None:
                missing.append(session_id)
                continue
            objects.append(session)
            intent = session.get("payment_intent")
            payment = await self.reads.object(intent) if isinstance(intent, str) else None
            objects += [payment] if payment is not None else []
        return compare(order, objects, missing=missing)

    async def _repair(self, order: TouchedOrder) -> None:
        now = int(self.clock.now())
        command = refresh_of_drift(order.order_id, order.session_ids, at=now, api_version=self.api_version)
        await self.log.publish(outgoing(command, at=now, source=SOURCE))
