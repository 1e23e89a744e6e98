"""A plain reader of whole topics: no group, no commits, from where it is told to where it is told.

For rebuilding and verifying, beside the consumers that do the work. It never waits for new records: what was not there
when the end was fixed is not read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from payonce.ports import Record, TopicPartition

_REQUEST_SECONDS = 20.0
_POLL_SECONDS = 0.05
#: Without a single record for so long, the brokers are away.
_PATIENCE_SECONDS = 60.0


class LogAway(Exception):
    """No broker answers, or the records stop coming before the end."""


class LogReader:
    """Reads topics from start to end. Blocking; not for several threads at once. Use as a context manager."""

    def __init__(self, bootstrap_servers: str, *, client_id: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "client.id": client_id,
                "group.id": client_id,  # asked for by the library; it joins no group and commits nothing
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": 65_536,
                "log.connection.close": False,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def bounds(self, topics: Sequence[str]) -> dict[TopicPartition, tuple[int, int]]:
        """Return the first offset that is still kept and the next to be written, of every partition.

        Raises LogAway, also for a topic that does not exist.
        """
        try:
            return {place: self._bounds(place) for topic in topics for place in self._partitions(topic)}
        except KafkaException as error:
            raise LogAway(str(error.args[0])) from error

    def read(
        self,
        starts: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        *,
        batch_records: int = 1_000,
    ) -> Iterator[list[Record]]:
        """Yield the records from `starts` (inclusive; missing: 0) up to `ends` (exclusive), ascending per partition.

        Raises LogAway; also where the log no longer has a start that was asked for.
        """
        left = {place: end for place, end in ends.items() if starts.get(place, 0) < end}
        self._consumer.assign(
            [KafkaPartition(place.topic, place.partition, starts.get(place, 0)) for place in sorted(left)]
        )
        heard = time.monotonic()
        while left:
            batch = []
            for message in self._consumer.consume(batch_records, timeout=_POLL_SECONDS):
                heard = time.monotonic()
                record = self._record(message, left)
                if record is not None:
                    batch.append(record)
            if batch:
                yield batch
                heard = time.monotonic()  # the caller may have taken its time
            elif time.monotonic() - heard > _PATIENCE_SECONDS:
                raise LogAway(
                    f"no record for {_PATIENCE_SECONDS:.0f} s, and {len(left)} partitions are not at their end"
                )
        self._consumer.unassign()

    def _record(self, message: Message, left: dict[TopicPartition, int]) -> Record | None:
        place = TopicPartition(message.topic() or "", message.partition() or 0)
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  (the library's public name for it)
                self._finish(place, left)  # the last offsets may hold no record
                return None
            if error.retriable() or error.code() in _PASSING:
                return None
            raise LogAway(f"{place.topic}/{place.partition}: {error}")
        if place not in left:
            return None
        offset = message.offset() or 0
        end = left[place]
        if offset + 1 >= end:
            self._finish(place, left)
        return _as_record(message) if offset < end else None

    def _finish(self, place: TopicPartition, left: dict[TopicPartition, int]) -> None:
        if left.pop(place, None) is not None:
            self._consumer.incremental_unassign([KafkaPartition(place.topic, place.partition)])

    def _partitions(self, topic: str) -> list[TopicPartition]:
        found = self._consumer.list_topics(topic, timeout=_REQUEST_SECONDS).topics[topic]
        if found.error is not None:
            raise LogAway(f"{topic}: {found.error}")
        return [TopicPartition(topic, partition) for partition in sorted(found.partitions)]

    def _bounds(self, place: TopicPartition) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(
            KafkaPartition(place.topic, place.partition), timeout=_REQUEST_SECONDS
        )
        return int(low), int(high)


def holds_records(bootstrap_servers: str, place: TopicPartition, first: int, end: int) -> bool:
    """Return whether there is a record at an offset from `first` up to `end` (exclusive), by asking the log.

    There is none where all have expired, or where the offsets are a transaction's markers. Blocking (a second or so);
    raises LogAway.
    """
    with LogReader(bootstrap_servers, client_id="payonce-holes") as reader:
        low, _ = reader.bounds([place.topic])[place]
        return any(reader.read({place: max(first, low)}, {place: end}))


_PASSING = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT}  # noqa: SLF001
)


def _as_record(message: Message) -> Record:
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
        timestamp_ms=message.timestamp()[1],
    )
