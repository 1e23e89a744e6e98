"""Events that no webhook has brought, from the PSP's list back into the log: the PSP's own bytes, as if pushed.

Two ways, because each has its gap: all events since a watermark, and those that the PSP says it could not deliver. The
watermark moves only after the delivery reports of everything before it. Repeating is harmless, so nothing is remembered
but what spares the log: events that are folded, waiting, or were just published by us are left out.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog

from payonce import telemetry
from payonce.domain.psp_webhooks import WANTED_TYPES
from payonce.ports import Clock, EventPage, GatewayFailure, LogProducer, Mark, PspReads, ReconcilerStore
from services.reconciler.republishing import republished
from services.reconciler.rules import HORIZON_SECONDS, Window, windows

log = structlog.get_logger()

EVENTS_TASK = "events"
#: The PSP filters by no more at once.
_TYPES_AT_ONCE = 20
TYPE_GROUPS = tuple(WANTED_TYPES[n : n + _TYPES_AT_ONCE] for n in range(0, len(WANTED_TYPES), _TYPES_AT_ONCE))
#: A long list of undelivered events is gone through over several rounds, so that it does not keep the rest waiting.
_UNDELIVERED_PAGES = 5
_REMEMBERED_EVENTS = 20_000


class MissedEvents:
    """Fetches for one process. Both methods raise StoreUnavailable, GatewayFailure or PublishFailed: do it again."""

    def __init__(
        self, reads: PspReads, store: ReconcilerStore, producer: LogProducer, clock: Clock, *, grace_seconds: int
    ) -> None:
        self._reads = reads
        self._store = store
        self._producer = producer
        self._clock = clock
        self._grace = grace_seconds
        self._published: OrderedDict[str, None] = OrderedDict()
        self._cursors: dict[tuple[str, ...], str | None] = dict.fromkeys(TYPE_GROUPS)

    async def since_watermark(self) -> None:
        """Publish what is missing of the events created up to a moment ago, and move the watermark there."""
        target = self._target()
        done = await self._store.watermark(EVENTS_TASK)
        for window in windows(done.until if done else None, target):
            for types in TYPE_GROUPS:
                await self._window(types, window)
            await self._store.advance(EVENTS_TASK, Mark(window.end))
            telemetry.reconciler_lag_seconds.labels(EVENTS_TASK).set(self._clock.now() - window.end)

    async def undelivered(self) -> None:
        """Publish what is missing of the events that the PSP could not deliver; of a long list, the next part."""
        for types in TYPE_GROUPS:
            for _ in range(_UNDELIVERED_PAGES):
                cursor = self._cursors[types]
                self._cursors[types] = None  # should the PSP refuse it, we begin at the top again
                target = self._target()
                page = await self._reads.events(
                    types,
                    created_from=target - HORIZON_SECONDS,
                    created_until=target,
                    starting_after=cursor,
                    undelivered_only=True,
                )
                last = await self._publish(page)
                if not page.has_more:
                    break
                self._cursors[types] = last

    def _target(self) -> int:
        return int(self._clock.now()) - self._grace

    async def _window(self, types: Sequence[str], window: Window) -> None:
        """Publish one window of these types. New events enter at the top, and we walk down: none is passed over."""
        cursor, more = None, True
        while more:
            page = await self._reads.events(
                types, created_from=window.begin, created_until=window.end, starting_after=cursor
            )
            cursor = await self._publish(page)
            more = page.has_more

    async def _publish(self, page: EventPage) -> str | None:
        """Publish what is missing of a page and return its last (oldest) event's id."""
        events = {}
        for body in page.events:
            event = _parsed(body)
            events[str(event["id"])] = (body, event)
        unknown = await self._store.unknown_events({name: event["created"] for name, (_, event) in events.items()})
        missing = [name for name in events if name in unknown and name not in self._published]
        await self._publish_all([events[name] for name in missing])
        for name in missing:
            self._published[name] = None
        while len(self._published) > _REMEMBERED_EVENTS:
            self._published.popitem(last=False)
        if page.has_more and not events:
            raise GatewayFailure("transient", "an empty page says that there is more")
        return next(reversed(events), None)

    async def _publish_all(self, missing: Sequence[tuple[bytes, Mapping[str, Any]]]) -> None:
        now = self._clock.now()
        records = [republished(body, event, at=now) for body, event in missing]
        reports = await asyncio.gather(*(self._producer.publish(each) for each in records), return_exceptions=True)
        for report in reports:
            if report is not None:
                raise report
        if records:
            telemetry.reconciled_events_total.inc(len(records))
            log.info("events published that no webhook had brought", events=len(records))


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise GatewayFailure("transient", "an event of the list is not JSON") from error
    match event:
        case {"object": "event", "id": str(), "type": str(), "created": int(), "data": {"object": {}}}:
            return dict(event)
    raise GatewayFailure("transient", "an element of the list of events is no event")
