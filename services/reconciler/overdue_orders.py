"""Orders that stay unfinished for too long: a command makes the PSP worker read them at the PSP.

Each order is asked after at fixed ages (its due times), so no memory of single orders is needed: a watermark says up to
when all that was due is asked, and it moves only after the delivery reports.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog

from payonce import telemetry
from payonce.codec import outgoing
from payonce.ports import Clock, DueRule, LogProducer, ReconcilerStore
from services.reconciler.rules import done_until, refresh_of

log = structlog.get_logger()

ORDERS_TASK = "orders"
SOURCE = "reconciler"


class OverdueOrders:
    """Asks for at most `limit` orders in one go, those due first first."""

    def __init__(
        self,
        store: ReconcilerStore,
        producer: LogProducer,
        clock: Clock,
        *,
        rules: Sequence[DueRule],
        limit: int,
        api_version: str,
    ) -> None:
        self._store = store
        self._producer = producer
        self._clock = clock
        self._rules = rules
        self._limit = limit
        self._api_version = api_version

    async def run_once(self) -> None:
        """Publish the commands of the orders that are due. Raises StoreUnavailable, PublishFailed: do it again."""
        now = int(self._clock.now())
        after = min(await self._store.watermark(ORDERS_TASK) or 0, now)
        orders = await self._store.due_orders(self._rules, after=after, until=now, limit=self._limit)
        commands = [refresh_of(order, api_version=self._api_version) for order in orders]
        records = [outgoing(command, at=now, source=SOURCE) for command in commands]
        reports = await asyncio.gather(*(self._producer.publish(each) for each in records), return_exceptions=True)
        for report in reports:
            if report is not None:
                raise report
        reached = done_until([order.due_at for order in orders], limit=self._limit, now=now)
        await self._store.advance(ORDERS_TASK, reached)
        telemetry.reconciler_lag_seconds.labels(ORDERS_TASK).set(now - reached)
        reasons = Counter(order.reason for order in orders)
        for reason, number in reasons.items():
            telemetry.refreshes_total.labels(reason).inc(number)
        if orders:
            log.info("overdue orders are asked after", orders=len(orders), reasons=dict(reasons))
