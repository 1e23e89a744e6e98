"""The outbox relay: status changes from PostgreSQL to payments.status, in the order of their ids, at least once.

One relay of all processes works, the others stand by. After any failure it begins again at the lowest id with a new
producer, so nothing that was given up may overtake; a reader keeps the greater `version`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from payonce import telemetry
from payonce.codec import decode_body, outgoing
from payonce.domain.events import OrderStatusChanged
from payonce.ports import Clock, LogProducer, Outbox, OutboxRow, OutgoingRecord, PublishFailed, StoreUnavailable

log = structlog.get_logger()

BATCH_ROWS = 1_000
_POLL_SECONDS = 0.2
_PAUSE_SECONDS = 1.0
_SOURCE = "status_processor"


class RelayProducer(LogProducer, Protocol):
    """A producer that can be given up."""

    def purge(self) -> None:
        """Forget what was not delivered."""
        ...

    async def close(self) -> None:
        """Stop it."""
        ...


class Relay:
    """Belongs to one loop; `wake` may be called from any thread once `run` has begun."""

    def __init__(self, outbox: Outbox, new_producer: Callable[[], RelayProducer], clock: Clock) -> None:
        self._outbox = outbox
        self._new_producer = new_producer
        self._clock = clock
        self._producer: RelayProducer | None = None
        self._is_holder = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    async def run_once(self) -> int:
        """Publish and delete the oldest rows; return how many, 0 also while another process is the relay.

        Raises StoreUnavailable or PublishFailed after having given the producer up; repeating is harmless.
        """
        try:
            self._is_holder = self._is_holder or await self._outbox.acquire()
            if not self._is_holder:
                return 0
            rows = await self._outbox.oldest(BATCH_ROWS)
            telemetry.outbox_depth_rows.set(len(rows))
            if rows:
                await self._publish(rows)
                await self._outbox.delete([row.id for row in rows])
        except (StoreUnavailable, PublishFailed):
            await self._begin_again()
            raise
        telemetry.outbox_published_total.inc(len(rows))
        return len(rows)

    async def run(self, stopping: asyncio.Event) -> None:
        """Relay until told to stop: at once after a commit of this process, else every 200 ms."""
        self._loop = asyncio.get_running_loop()
        try:
            while not stopping.is_set():
                self._woken.clear()
                if await self._patiently() < BATCH_ROWS:
                    await self._rest(stopping)
        finally:
            await self._begin_again()

    def wake(self) -> None:
        """Say that there are new rows. Thread-safe; harmless before `run` and after it."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def _patiently(self) -> int:
        try:
            return await self.run_once()
        except (StoreUnavailable, PublishFailed) as error:
            log.warning("the relay begins again", error=str(error), pause_seconds=_PAUSE_SECONDS)
            await self._clock.sleep(_PAUSE_SECONDS)
            return 0

    async def _rest(self, stopping: asyncio.Event) -> None:
        waits = [asyncio.create_task(self._woken.wait()), asyncio.create_task(stopping.wait())]
        await asyncio.wait(waits, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()

    async def _publish(self, rows: Sequence[OutboxRow]) -> None:
        if self._producer is None:
            self._producer = self._new_producer()
        publish = self._producer.publish
        # All reports are waited for, also after a failure: nothing may still be on its way when we begin again.
        reports = await asyncio.gather(*(publish(_record(row)) for row in rows), return_exceptions=True)
        for report in reports:
            if report is not None:
                raise report

    async def _begin_again(self) -> None:
        self._is_holder = False
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            await producer.close()


def _record(row: OutboxRow) -> OutgoingRecord:
    message = decode_body("OrderStatusChanged", row.body)
    assert isinstance(message, OrderStatusChanged)
    return outgoing(message, at=message.changed_at, source=_SOURCE)
