"""The idempotent producer, usable from an asyncio loop.

confluent's own AIOProducer holds a lone message back for seconds and refuses headers, so this is the synchronous
producer, a thread that polls it, and one wake-up of the loop for all reports that came meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from payonce import telemetry
from payonce.ports import OutgoingRecord, PublishFailed

#: Several times a broker's failover: a shorter timeout makes duplicates of acknowledged records.
DELIVERY_TIMEOUT_MS = 60_000
#: Room for the dead letter of the largest record that a topic takes; each topic has its own, smaller limit.
LARGEST_MESSAGE_BYTES = 1_200_000
_POLL_SECONDS = 0.1
_FLUSH_SECONDS = 10.0

_Report = tuple["asyncio.Future[None]", KafkaError | None]


def producer_config(bootstrap_servers: str, client_id: str) -> dict[str, str | int | bool]:
    """Return the settings that keep messages; murmur2 puts a key where Java, aiokafka and Faust would."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": client_id,
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 1,
        "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
        "partitioner": "murmur2_random",
        "queue.buffering.max.messages": 50_000,
        "message.max.bytes": LARGEST_MESSAGE_BYTES,
        "log.connection.close": False,
    }


class KafkaProducer:
    """Implements ports.LogProducer. Belongs to the loop it was made in; `publish` may be called by many tasks."""

    def __init__(
        self, bootstrap_servers: str, *, client_id: str, overrides: Mapping[str, str | int | bool] | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._producer = Producer({**producer_config(bootstrap_servers, client_id), **(overrides or {})})
        self._reports: deque[_Report] = deque()
        self._armed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="kafka-producer-poll", daemon=True)
        self._thread.start()

    async def publish(self, record: OutgoingRecord) -> None:
        future: asyncio.Future[None] = self._loop.create_future()

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            self._push((future, error))

        try:
            self._producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                on_delivery=on_delivery,
            )
        except (BufferError, KafkaException) as error:
            telemetry.publish_failures_total.labels(record.topic).inc()
            raise PublishFailed(f"{record.topic}: {error}") from error
        try:
            await future
        except PublishFailed:
            telemetry.publish_failures_total.labels(record.topic).inc()
            raise

    async def reachable(self, timeout_seconds: float = 2.0) -> bool:
        """Return whether a broker answers. Blocks a helper thread for at most the timeout, never the loop."""
        return await self._loop.run_in_executor(None, self._answers, timeout_seconds)

    def purge(self) -> None:
        """Forget what was not delivered yet; its publishers get PublishFailed. In-flight records may still arrive."""
        self._producer.purge()

    async def close(self) -> None:
        """Deliver what is queued for at most 10 s, then stop. Undelivered publishers get PublishFailed."""
        await self._loop.run_in_executor(None, self._producer.flush, _FLUSH_SECONDS)
        self._producer.purge()
        self._stopping.set()
        await self._loop.run_in_executor(None, self._thread.join)
        self._drain()

    def _answers(self, timeout_seconds: float) -> bool:
        try:
            self._producer.list_topics(timeout=timeout_seconds)
        except KafkaException:
            return False
        return True

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_SECONDS)
        self._producer.poll(0)

    def _push(self, report: _Report) -> None:
        """Hand a report to the loop (poll thread): one wake-up serves every report until it is drained."""
        self._reports.append(report)
        if not self._armed:
            self._armed = True
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._reports.clear()

    def _drain(self) -> None:
        self._armed = False  # disarm first: a report that comes from here on arms the next drain
        while self._reports:
            future, error = self._reports.popleft()
            if future.done():  # its publisher has given up waiting
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(PublishFailed(str(error)))
