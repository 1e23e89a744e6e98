"""The idempotent producer, usable from an asyncio loop.

confluent's own AIOProducer holds a lone message back for seconds and refuses headers, so this is the synchronous
producer, a thread that polls it, and one wake-up of the loop for all reports that came meanwhile.

Nobody waits for ever. When the library gives the producer up for good (the log was truncated behind it, say), every
publisher is answered, a later one at once, and `ended` carries the reason.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from payonce import telemetry
from payonce.ports import OutgoingRecord, PublishFailed, RecordTooLarge
from payonce.record_size import require_fit

#: Several times a broker's failover: a shorter timeout makes duplicates of acknowledged records.
DELIVERY_TIMEOUT_MS = 60_000
#: Room for the dead letter of the largest record that a topic takes; each topic has its own, smaller limit.
LARGEST_MESSAGE_BYTES = 1_200_000
_POLL_SECONDS = 0.1
_FLUSH_SECONDS = 10.0

_Report = tuple["asyncio.Future[None]", PublishFailed | RecordTooLarge | None]


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


class ProducerEnded(Exception):
    """The library publishes nothing more through this producer: the process must end, or make another one."""


class KafkaProducer:
    """Implements ports.LogProducer. Belongs to the loop it was made in; `publish` may be called by many tasks.

    `ended` resolves with ProducerEnded when it can publish no more, and without an error when it is closed.
    """

    def __init__(
        self, bootstrap_servers: str, *, client_id: str, overrides: Mapping[str, str | int | bool] | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._error: ProducerEnded | None = None
        self._producer = Producer({**producer_config(bootstrap_servers, client_id), **(overrides or {})})
        self._waiting: set[asyncio.Future[None]] = set()
        self._reports: deque[_Report] = deque()
        self._armed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-producer-poll", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it can publish at all. Any thread may ask."""
        return self._error is None

    async def publish(self, record: OutgoingRecord) -> None:
        require_fit(record)
        report: asyncio.Future[None] = self._loop.create_future()
        try:
            self._produce(record, report)
            self._waiting.add(report)
            await report
        except PublishFailed:
            telemetry.publish_failures_total.labels(record.topic).inc()
            raise
        finally:
            self._waiting.discard(report)

    async def reachable(self, timeout_seconds: float = 2.0) -> bool:
        """Return whether a broker answers and we can publish. Blocks a helper thread at most so long, not the loop."""
        return self.is_alive and await self._loop.run_in_executor(None, self._answers, timeout_seconds)

    def purge(self) -> None:
        """Forget what was not delivered yet; its publishers get PublishFailed. In-flight records may still arrive."""
        self._producer.purge()

    async def close(self) -> None:
        """Deliver what is queued for at most 10 s, then stop. Undelivered publishers get PublishFailed. Idempotent."""
        if self._stopping.is_set():
            return
        if self.is_alive:
            await self._loop.run_in_executor(None, self._flush)
        self._producer.purge()
        self._stopping.set()
        await self._loop.run_in_executor(None, self._thread.join)
        await self._loop.run_in_executor(None, self._shut)
        self._end(None)

    def _produce(self, record: OutgoingRecord, report: asyncio.Future[None]) -> None:
        def on_delivery(error: KafkaError | None, message: Message) -> None:
            self._push((report, _verdict(error, message)))

        if self._error is not None:
            raise PublishFailed(str(self._error))
        try:
            self._producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                on_delivery=on_delivery,
            )
        except BufferError as error:
            raise PublishFailed(f"{record.topic}: {error}") from error
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() == KafkaError._FATAL:  # noqa: SLF001  (the library's public name for it)
                self._end(ProducerEnded(str(cause)))
            raise _failure(cause, record.topic) from error

    def _answers(self, timeout_seconds: float) -> bool:
        try:
            self._producer.list_topics(timeout=timeout_seconds)
        except (KafkaException, RuntimeError):  # the latter: it is being closed
            return False
        return True

    # -- the thread

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._producer.poll(_POLL_SECONDS)
            self._producer.poll(0)
        except BaseException as error:  # noqa: BLE001  (nothing may end this thread in silence)
            self._end_soon(error)

    def _flush(self) -> None:
        try:
            self._producer.flush(_FLUSH_SECONDS)
        except KafkaException as error:  # the reports are served here, too, and so is the end
            self._end_soon(error)

    def _shut(self) -> None:
        with suppress(KafkaException):  # it had been given up, which changes nothing any more
            self._producer.close()  # else the library goes on calling the brokers

    def _end_soon(self, error: BaseException) -> None:
        # Not as its cause: a stack would keep the library's threads alive, which go on calling the brokers.
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._end, ProducerEnded(repr(error)))

    def _push(self, report: _Report) -> None:
        """Hand a report to the loop (poll thread): one wake-up serves every report until it is drained."""
        self._reports.append(report)
        if not self._armed:
            self._armed = True
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._reports.clear()

    # -- the loop again

    def _drain(self) -> None:
        self._armed = False  # disarm first: a report that comes from here on arms the next drain
        while self._reports:
            report, error = self._reports.popleft()
            if report.done():  # its publisher has given up waiting, or the producer has ended
                continue
            if error is None:
                report.set_result(None)
            else:
                report.set_exception(error)

    def _end(self, error: ProducerEnded | None) -> None:
        """Answer everybody: no report will be read any more. Idempotent; `error` is None at a close."""
        if self._error is not None:
            return
        self._error = error or ProducerEnded("the producer is closed")
        self._drain()
        for report in self._waiting:
            if not report.done():
                report.set_exception(PublishFailed(str(self._error)))
        if self.ended.done():  # cancelled by who waited for it
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
            self.ended.exception()  # whoever only looks at `is_alive` has seen it, too


def _verdict(error: KafkaError | None, message: Message) -> PublishFailed | RecordTooLarge | None:
    """Return what a delivery report is to the publisher, None if the broker has said where the record lies.

    The library also reports a record as delivered when a later one of the partition was, because brokers keep the
    order. A leader that does not know the producer yet takes any record as its first, and then the earlier one is lost.
    """
    if error is not None:
        return _failure(error)
    return None if message.offset() is not None else PublishFailed("no broker has said that it has the record")


def _failure(error: KafkaError, topic: str = "") -> PublishFailed | RecordTooLarge:
    """Return what an error is to the publisher: a record that is too large today is so for ever."""
    kind = RecordTooLarge if error.code() == KafkaError.MSG_SIZE_TOO_LARGE else PublishFailed
    return kind(f"{topic}: {error}" if topic else str(error))
