"""The relay in a thread and a loop of its own: the fold keeps its loop busy, and news should not wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from payonce.adapters.clock import SystemClock
from payonce.adapters.kafka.producer import KafkaProducer
from payonce.adapters.outbox import PostgresOutbox
from payonce.adapters.postgres import Database
from payonce.settings import StatusProcessorSettings
from services.status_processor.relay import Relay

#: Enough for the reports of a batch while Kafka is there; while it is away, what is queued is given up anyway.
_STOP_SECONDS = 15.0
#: A relay that is frozen gives its lock to the next one after so long. It is silent for 71 s at most: 60 s for the last
#: delivery report, 10 s to close a producer that is given up, and a pause.
IDLE_SESSION_MS = 120_000


class RelayThread:
    """Runs a Relay on the real parts from `start` to `stop`; a bug in it is told to `on_failure` (in its thread)."""

    def __init__(self, settings: StatusProcessorSettings, on_failure: Callable[[BaseException], None]) -> None:
        database = Database(
            settings.database_url,
            application_name="status_processor relay",
            pool_size=1,
            idle_session_ms=IDLE_SESSION_MS,
        )
        self._outbox = PostgresOutbox(database)
        self._relay = Relay(self._outbox, lambda: _producer(settings), SystemClock())
        self._on_failure = on_failure
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="outbox-relay", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there are new rows. Thread-safe."""
        self._relay.wake()

    def stop(self) -> None:
        """Finish the batch in progress, then end. Blocks for at most 15 s; the next relay publishes what is left."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._relay.run(self._stopping))
        except BaseException as error:  # noqa: BLE001  (a thread has nobody above it)
            self._on_failure(error)
        finally:
            self._outbox.close()


def _producer(settings: StatusProcessorSettings) -> KafkaProducer:
    return KafkaProducer(settings.kafka_bootstrap_servers, client_id="status_processor-relay")
