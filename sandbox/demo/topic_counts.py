"""How many records each topic holds, from the log's end offsets."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

from payonce.catalog import topics

#: A starved broker is fenced for a moment, and its partitions have no leader then.
PATIENCE_SECONDS = 60.0
_REQUEST_SECONDS = 10.0
_PAUSE_SECONDS = 0.2


class TopicCounts:
    """Blocking; asks the brokers each time, and again while they cannot tell.

    Raises KafkaException when one partition's end is not known within `patience_seconds`.
    """

    def __init__(self, bootstrap_servers: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "demo-counts"})

    def read(self) -> dict[str, int]:
        """Return the records per topic; dead-letter topics only when they hold any."""
        counts = {name: self._count(name, topic.partitions) for name, topic in topics().items()}
        return {name: count for name, count in counts.items() if count or not name.endswith((".dlt", ".ops"))}

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _count(self, name: str, partitions: int) -> int:
        ends = (self._ends(TopicPartition(name, number)) for number in range(partitions))
        return sum(high - low for low, high in ends)

    def _ends(self, place: TopicPartition) -> tuple[int, int]:
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                ends: tuple[int, int] = self._consumer.get_watermark_offsets(place, timeout=_REQUEST_SECONDS)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
            else:
                return ends
            time.sleep(_PAUSE_SECONDS)
