"""Orders that stay unfinished for too long: a command makes the PSP worker read them at the PSP.

Each order is asked after at fixed ages (its due times), so no memory of single orders is needed: a watermark says up to
where all that was due is asked, and it moves only after the delivery reports. There are two lines with a watermark
each: what is slow by nature is asked after with what the lost orders leave of the rate.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import structlog

from payonce import telemetry
from payonce.codec import outgoing
from payonce.ports import Clock, DueOrder, LogProducer, Mark, ReconcilerStore
from services.reconciler.rate import Rate, Share
from services.reconciler.rules import lost_rules, reached, refresh_of, slow_rules

log = structlog.get_logger()

ORDERS_TASK = "orders"
SLOW_ORDERS_TASK = "slow_orders"
SOURCE = "reconciler"
#: Of so many that are asked after, one is slow, if any is due.
_ONE_IN = 4


class OverdueOrders:
    """Asks for at most as many orders in one go as the rate allows; of each line, those due first first."""

    def __init__(
        self,
        store: ReconcilerStore,
        producer: LogProducer,
        clock: Clock,
        *,
        rate: Rate,
        asks_after: Mapping[str, int],
        api_version: str,
    ) -> None:
        self._store = store
        self._producer = producer
        self._clock = clock
        self._rate = rate
        self._slow_share = Share(one_in=_ONE_IN)
        self._rules = {ORDERS_TASK: lost_rules(asks_after), SLOW_ORDERS_TASK: slow_rules(asks_after)}
        self._api_version = api_version

    async def run_once(self) -> None:
        """Publish the commands of the orders that are due. Raises StoreUnavailable, PublishFailed: do it again."""
        allowance = self._rate.allowance()
        limit = allowance - self._slow_share.of(allowance)
        lost = await self._line(ORDERS_TASK, limit)
        slow = await self._line(SLOW_ORDERS_TASK, allowance - lost)
        if lost == limit and lost + slow < allowance:  # what the slow ones have left of their share
            await self._line(ORDERS_TASK, allowance - lost - slow)
        self._slow_share.used(allowance, asked=slow, are_all=slow < allowance - lost)
        self._rate.spent()

    async def _line(self, task: str, limit: int) -> int:
        """Ask after what is due in one line; return how many that were."""
        now = int(self._clock.now())
        after = min(await self._store.watermark(task) or Mark(0), Mark(now))  # one in the future: a wrong clock's
        rules = self._rules[task]
        orders = await self._store.due_orders(rules, after=after, until=now, limit=limit) if limit else ()
        await self._publish(orders, now)
        mark = reached([(order.due_at, order.order_id) for order in orders], limit=limit, now=now) if limit else after
        await self._store.advance(task, mark)
        telemetry.reconciler_lag_seconds.labels(task).set(now - mark.until)
        reasons = Counter(order.reason for order in orders)
        for reason, number in reasons.items():
            telemetry.refreshes_total.labels(reason).inc(number)
        if orders:
            log.info("overdue orders are asked after", orders=len(orders), reasons=dict(reasons))
        return len(orders)

    async def _publish(self, orders: Sequence[DueOrder], now: int) -> None:
        commands = [refresh_of(order, api_version=self._api_version) for order in orders]
        records = [outgoing(command, at=now, source=SOURCE) for command in commands]
        reports = await asyncio.gather(*(self._producer.publish(each) for each in records), return_exceptions=True)
        for report in reports:
            if report is not None:
                raise report
