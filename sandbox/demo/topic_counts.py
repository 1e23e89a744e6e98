"""How many records each topic holds, from the log's end offsets."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

from payonce.catalog import topics


class TopicCounts:
    """Blocking; asks the brokers each time."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "demo-counts"})

    def read(self) -> dict[str, int]:
        """Return the records per topic; dead-letter topics only when they hold any."""
        counts = {name: self._count(name, topic.partitions) for name, topic in topics().items()}
        return {name: count for name, count in counts.items() if count or not name.endswith((".dlt", ".ops"))}

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _count(self, name: str, partitions: int) -> int:
        ends = (self._consumer.get_watermark_offsets(TopicPartition(name, n), timeout=10) for n in range(partitions))
        return sum(high - low for low, high in ends)
