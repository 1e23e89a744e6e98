"""Events that wait for their order: whose they are is asked at the PSP.

Ours: a command has the order read, which brings the PSP ids that the event waits for. Not ours: remembered, and the
fold drops the event. Unknown: asked again later, until the fold sets the event aside as a dead letter.
"""

from __future__ import annotations

import structlog

from payonce import telemetry
from payonce.codec import outgoing
from payonce.ports import Clock, LogProducer, PspReads, ReconcilerStore, WaitingEvent
from services.reconciler.overdue_orders import SOURCE
from services.reconciler.ownership import Owner, owner_of
from services.reconciler.rules import WAITING_AGES, done_until, refresh_for

log = structlog.get_logger()

WAITING_TASK = "waiting"
#: Each takes up to four calls.
LIMIT = 25


class WaitingEvents:
    """Looks up at most `limit` waiting events in one go (and those due in the same second as the last)."""

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
        now = int(self._clock.now())
        after = min(await self._store.watermark(WAITING_TASK) or 0, now)
        events = await self._store.due_waiting(WAITING_AGES, after=after, until=now, limit=self._limit)
        answers: dict[tuple[str, ...], Owner] = {}
        for position, event in enumerate(events):
            if event.references not in answers:
                answers[event.references] = await owner_of(self._reads, event.references)
            await self._settle(event, answers[event.references])
            if any(later.due_at == event.due_at for later in events[position + 1 : position + 2]):
                continue  # the watermark cannot tell them apart
            await self._store.advance(WAITING_TASK, event.due_at)
        reached = done_until([event.due_at for event in events], limit=self._limit, now=now)
        await self._store.advance(WAITING_TASK, reached)
        telemetry.reconciler_lag_seconds.labels(WAITING_TASK).set(now - reached)

    async def _settle(self, event: WaitingEvent, owner: Owner) -> None:
        if owner.order_id is not None:
            command = refresh_for(event, owner.order_id, api_version=self._api_version)
            await self._producer.publish(outgoing(command, at=self._clock.now(), source=SOURCE))
        elif owner.outcome == "foreign":
            await self._store.remember_foreign(event.references)
        telemetry.reference_lookups_total.labels(owner.outcome).inc()
        log.info("a waiting event was looked up", event_id=event.event_id, outcome=owner.outcome)
