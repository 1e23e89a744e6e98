"""`python -m services.status_processor`: folds commands, tokens and webhooks into PostgreSQL until SIGTERM.

Settings come from the environment; exit codes are in `exit_codes`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys

import structlog

from payonce import telemetry
from payonce.adapters.clock import SystemClock
from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.health import HealthServer
from payonce.adapters.kafka.producer import KafkaProducer
from payonce.adapters.kafka.topics import BrokersAway, missing_topics
from payonce.adapters.postgres import Database
from payonce.catalog import topics_read_by, topics_written_by
from payonce.settings import StatusProcessorSettings
from services.status_processor.app import GROUP, FaustShell
from services.status_processor.chores import (
    LOOK_SECONDS,
    MONTHS_AHEAD,
    MONTHS_SECONDS,
    SWEEP_SECONDS,
    every,
)
from services.status_processor.exit_codes import ExitCode, exit_code_of
from services.status_processor.fold import Fold
from services.status_processor.relay_thread import RelayThread
from services.status_processor.watchdog import Watchdog

log = structlog.get_logger()

_STOP_SECONDS = 20.0
#: They tell every start of every part of theirs; what matters of it we say ourselves.
_TALKATIVE = ("faust", "mode", "aiokafka")
#: Thousands of buffered messages live at once and none is part of a cycle: look at them less often.
_GC_THRESHOLDS = (50_000, 20, 100)


def main() -> int:
    """Run the process; return its exit code."""
    settings = StatusProcessorSettings()
    telemetry.configure_logging(GROUP, level=settings.log_level, json_lines=settings.log_format == "json")
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    gc.set_threshold(*_GC_THRESHOLDS)
    refusal = _refusal(settings)
    return refusal if refusal is not None else asyncio.run(_run(settings))


def _refusal(settings: StatusProcessorSettings) -> ExitCode | None:
    """Return why not to start: a worker that starts before its topics exist would not notice them for minutes."""
    try:
        missing = missing_topics(settings.kafka_bootstrap_servers, {*topics_read_by(GROUP), *topics_written_by(GROUP)})
    except BrokersAway as error:
        # Whoever reads this wants the address, not a stack.
        log.error("no broker answers", brokers=settings.kafka_bootstrap_servers, error=str(error))  # noqa: TRY400
        return ExitCode.KAFKA_AWAY
    if missing:
        log.error("topics are missing; create them with: payonce topics create", topics=missing)
        return ExitCode.TOPICS_MISSING
    return None


async def _run(settings: StatusProcessorSettings) -> ExitCode:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    process = Process(settings)
    reason = await process.run(stopping)
    code = exit_code_of(reason)
    log.info("stopping", exit_code=int(code), exit_name=code.name, reason=repr(reason))
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.stop()
    except TimeoutError:
        log.warning("did not stop in time; what is not acknowledged is read again", seconds=_STOP_SECONDS)
        sys.stdout.flush()
        os._exit(code)
    return code


class Process:
    """The wired process. Make it inside the running loop."""

    def __init__(self, settings: StatusProcessorSettings) -> None:
        self._clock = SystemClock()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        database = Database(settings.database_url, application_name="status_processor fold")
        self._store = PostgresFoldStore(database)
        self._producer = KafkaProducer(settings.kafka_bootstrap_servers, client_id="status_processor-dead-letters")
        self._relay = RelayThread(settings, self._relay_failed)
        self._fold = Fold(
            self._store,
            self._producer,
            self._clock,
            group=GROUP,
            livemode=settings.stripe_livemode,
            on_announced=self._relay.wake,
        )
        self._shell = FaustShell(settings, self._fold, self._clock)
        self._watchdog = Watchdog(self._shell.group_generation)
        self._health = _health(settings, self._is_ready)
        self._tasks: list[asyncio.Task[object]] = []

    async def run(self, stopping: asyncio.Event) -> BaseException | None:
        """Work until told to stop (None) or until something ends it (the reason)."""
        self._watchdog.start()
        self._relay.start()
        self._tasks = [
            asyncio.create_task(work)
            for work in (
                stopping.wait(),
                self._work(),
                self._until_failure(),
                self._until_the_log_is_lost(),
                every(SWEEP_SECONDS, self._fold.sweep, self._clock),
                every(MONTHS_SECONDS, self._make_months, self._clock),
                every(LOOK_SECONDS, self._look, self._clock),
            )
        ]
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        return next((error for task in done if (error := task.exception()) is not None), None)

    async def stop(self) -> None:
        """Let the running statement end, commit what is acknowledged, leave the group, close everything."""
        self._watchdog.stop()
        await self._shell.app.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._relay.stop)
        await self._producer.close()
        await asyncio.to_thread(self._store.close)
        if self._health is not None:
            self._health.close()

    async def _work(self) -> None:
        """Run Faust; it only ends by an error, its own or one that the fold could not survive."""
        app = self._shell.app
        await app.start()
        await app.wait_for_stopped()
        raise app.crash_reason or RuntimeError("Faust has stopped by itself")

    async def _until_failure(self) -> None:
        await self._failed

    async def _until_the_log_is_lost(self) -> None:
        await asyncio.shield(self._producer.ended)  # whoever cancels us must not cancel that

    async def _make_months(self) -> None:
        await self._store.make_months(ahead=MONTHS_AHEAD)

    async def _look(self) -> None:
        if self._watchdog.is_member:
            await self._shell.look()

    def _is_ready(self) -> bool:
        return self._watchdog.is_member and self._producer.is_alive and not self._shell.batches.is_held_up

    def _relay_failed(self, error: BaseException) -> None:
        """End the process. Called in the relay's thread."""
        self._failed.get_loop().call_soon_threadsafe(self._failed.set_exception, error)


def _health(settings: StatusProcessorSettings, ready: object) -> HealthServer | None:
    assert callable(ready)
    return HealthServer(settings.health_host, settings.health_port, ready) if settings.health_port else None


if __name__ == "__main__":
    sys.exit(main())
