"""Events that wait for their order: whose they are is asked at the PSP.

Ours: a command has the order read, which brings the PSP ids that the event waits for. Not ours: remembered, and the
fold drops the event. Unknown: asked again later, until the fold sets the event aside as a dead letter.

There are two lines with a watermark each. What names nothing but a payment gets what the others leave of a round, and
has no lag to tell: what is not got to is left to the invoice that names it, and to the fold.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from payonce import telemetry
from payonce.codec import outgoing
from payonce.ports import Clock, LogProducer, Mark, PspReads, ReconcilerStore, WaitingEvent
from services.reconciler.overdue_orders import SOURCE
from services.reconciler.ownership import Owner, owner_of
from services.reconciler.rules import PAYMENT_LOOKS_SECONDS, WAITING_AGES, reached, refresh_for

log = structlog.get_logger()

WAITING_TASK = "waiting"
PAYMENTS_TASK = "waiting_payments"
#: Each takes up to four calls.
LIMIT = 25


class WaitingEvents:
    """Looks up at most `limit` waiting events in one go."""

    def __init__(
        self,
        reads: PspReads,
        store: ReconcilerStore,
        producer: LogProducer,
        clock: Clock,
        *,
        api_version: str,
        limit: int = LIMIT,
    ) -> None:
        self._reads = reads
        self._store = store
        self._producer = producer
        self._clock = clock
        self._api_version = api_version
        self._limit = limit

    async def run_once(self) -> None:
        """Look up what is due. Raises StoreUnavailable, GatewayFailure or PublishFailed: do it again."""
        answers: dict[tuple[str, ...], Owner] = {}
        now = int(self._clock.now())
        after = await self._after(WAITING_TASK, now)
        events = await self._due(after, now, self._limit, payments=False)
        mark = await self._look_up(WAITING_TASK, events, answers, reached(_names(events), limit=self._limit, now=now))
        telemetry.reconciler_lag_seconds.labels(WAITING_TASK).set(now - mark.until)
        if left := self._limit - len(events):
            after = max(await self._after(PAYMENTS_TASK, now), Mark(now - PAYMENT_LOOKS_SECONDS))
            payments = await self._due(after, now, left, payments=True)
            await self._look_up(PAYMENTS_TASK, payments, answers, reached(_names(payments), limit=left, now=now))

    async def _after(self, task: str, now: int) -> Mark:
        """Return how far the task is done; a mark in the future is of a clock that was wrong."""
        return min(await self._store.watermark(task) or Mark(0), Mark(now))

    async def _due(self, after: Mark, now: int, limit: int, *, payments: bool) -> Sequence[WaitingEvent]:
        return await self._store.due_waiting(WAITING_AGES, after=after, until=now, limit=limit, payments=payments)

    async def _look_up(
        self, task: str, events: Sequence[WaitingEvent], answers: dict[tuple[str, ...], Owner], mark: Mark
    ) -> Mark:
        """Settle the events one after the other, so that a failure loses nothing of what was found; return the mark."""
        for event in events:
            if event.references not in answers:
                answers[event.references] = await owner_of(self._reads, event.references)
            await self._settle(event, answers[event.references])
            await self._store.advance(task, Mark.at(event.due_at, event.event_id))
        await self._store.advance(task, mark)
        return mark

    async def _settle(self, event: WaitingEvent, owner: Owner) -> None:
        if owner.order_id is not None:
            command = refresh_for(event, owner.order_id, api_version=self._api_version)
            await self._producer.publish(outgoing(command, at=self._clock.now(), source=SOURCE))
        elif owner.outcome == "foreign":
            await self._store.remember_foreign(event.references)
        telemetry.reference_lookups_total.labels(owner.outcome).inc()
        log.info("a waiting event was looked up", event_id=event.event_id, outcome=owner.outcome)


def _names(events: Sequence[WaitingEvent]) -> list[tuple[int, str]]:
    return [(event.due_at, event.event_id) for event in events]
