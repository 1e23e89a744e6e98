"""One round after the other, in one process at a time: events, overdue orders, waiting events, ages.

A task that fails is done again in the next round, for none may be harmed by repetition; what ends the process is a bug.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog

from payonce import telemetry
from payonce.ports import Clock, GatewayFailure, PublishFailed, ReconcilerStore, StoreUnavailable
from services.reconciler.rules import WATCHED

log = structlog.get_logger()

#: While PostgreSQL is away, and in those that stand by.
LOOK_AGAIN_SECONDS = 5.0


class Reconciler:
    """`run_once` is one round; `run` goes on for ever. Cancel it to stop: whatever is unfinished is done again."""

    def __init__(
        self,
        store: ReconcilerStore,
        tasks: Mapping[str, Callable[[], Awaitable[None]]],
        clock: Clock,
        *,
        interval_seconds: float,
    ) -> None:
        self._store = store
        self._tasks = {**tasks, "ages": self._measure_ages}
        self._clock = clock
        self._interval = interval_seconds
        self.is_ready = False

    async def run_once(self) -> bool:
        """Do every task once; return False, having done nothing, while another process is the reconciler.

        Raises StoreUnavailable when PostgreSQL is away or the lock is lost: then nothing more is done in this round.
        """
        is_active = await self._store.acquire()
        telemetry.reconciler_active.set(is_active)
        self.is_ready = True
        if not is_active:
            return False
        for name, task in self._tasks.items():
            try:
                await task()
            except (GatewayFailure, PublishFailed) as failure:
                log.warning("a task of the reconciler waits", task=name, error=str(failure))
        return True

    async def run(self) -> None:
        """Do round after round."""
        while True:
            await self._clock.sleep(await self._round())

    async def _round(self) -> float:
        """Do one round and return how long to pause."""
        try:
            is_active = await self.run_once()
        except StoreUnavailable as error:
            self.is_ready = False
            telemetry.reconciler_active.set(0)
            log.warning("the reconciler waits", error=str(error))
            is_active = False
        return self._interval if is_active else min(self._interval, LOOK_AGAIN_SECONDS)

    async def _measure_ages(self) -> None:
        """Tell how long orders are unfinished: one that is held up makes no error, and no other alarm sees it."""
        now = self._clock.now()
        ages = await self._store.ages({status: watch.stuck_after for status, watch in WATCHED.items()})
        found = {age.status: age for age in ages}
        for status in WATCHED:
            age = found.get(status)
            telemetry.order_age_seconds.labels(status).set(max(0.0, now - age.oldest_since) if age else 0)
            telemetry.stuck_orders.labels(status).set(age.stuck if age else 0)
