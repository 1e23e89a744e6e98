"""What one ops_console at a time does beside the requests: replay, anchor the audit chain, settle, clean up, count.

The lead is a lock of the database, asked for before every round: a process that has lost it stops within one step, and
whatever it did twice is harmless.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog

from payonce import telemetry
from payonce.ports import Clock, PublishFailed, StoreUnavailable
from payonce.ports.ops import OpsStore
from services.ops_console.anchoring import Auditor
from services.ops_console.replaying import Replayer
from services.ops_console.retention import Retention

_REST_SECONDS = 0.5
_AWAY_SECONDS = 1.0
_SETTLE_SECONDS = 10.0
_CLEAN_SECONDS = 24 * 3600.0
#: A replay that has neither shown in a timeline nor come back for so long was taken in.
_SILENCE = timedelta(days=7)
_AGAIN_SECONDS = 60.0
log = structlog.get_logger()


class Settler:
    """Marks replayed letters as resolved, and counts the open ones."""

    def __init__(self, store: OpsStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run_once(self) -> int:
        """Settle once; return how many letters are resolved by it. Raises StoreUnavailable."""
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        settled = await self._store.run(lambda tx: tx.settle_replayed(now=now, silent_since=now - _SILENCE))
        counts = await self._store.run(lambda tx: tx.counts())
        telemetry.dead_letters_open.clear()
        for (topic, group, reason), count in counts.items():
            telemetry.dead_letters_open.labels(topic, group, reason).set(count)
        return settled


class Chores:
    """All of them in one loop: they share one lead, and none is in a hurry but the replay, which is paced anyway."""

    def __init__(
        self,
        store: OpsStore,
        clock: Clock,
        *,
        replayer: Replayer,
        auditor: Auditor,
        settler: Settler,
        retention: Retention,
    ) -> None:
        self._store = store
        self._clock = clock
        self._replayer = replayer
        self._auditor = auditor
        self._timed: list[tuple[float, Callable[[], Awaitable[object]]]] = [
            (_SETTLE_SECONDS, settler.run_once),
            (_CLEAN_SECONDS, retention.run_once),
        ]
        self._due = [float("-inf") for _ in self._timed]

    async def run(self) -> None:
        """Do them for ever; while PostgreSQL or Kafka is away, wait."""
        while True:
            try:
                worked = await self.run_once()
            except (StoreUnavailable, PublishFailed) as error:
                log.warning("chores_wait", error=str(error))
                await self._clock.sleep(_AWAY_SECONDS)
                continue
            if not worked:
                await self._clock.sleep(_REST_SECONDS)

    async def run_once(self) -> bool:
        """Do what is due, if we lead; return whether there may be more at once. Raises what its parts raise."""
        if not await self._store.lead():
            telemetry.dead_letters_open.clear()  # the process that leads now counts them
            return False
        published = await self._auditor.run_once()
        for number, (seconds, chore) in enumerate(self._timed):
            if self._clock.monotonic() >= self._due[number]:
                # One that fails must not keep the others from their turn.
                self._due[number] = self._clock.monotonic() + min(seconds, _AGAIN_SECONDS)
                await chore()
                self._due[number] = self._clock.monotonic() + seconds
        return await self._replayer.run_once() or published > 0
