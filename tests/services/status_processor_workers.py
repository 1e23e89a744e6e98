"""Real worker processes on real Kafka and PostgreSQL, and what tests ask of the tables and topics."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from sqlalchemy import create_engine, text

from payonce.catalog import topics_read_by
from payonce.ports import OutgoingRecord
from sandbox.stack.child import Child, log_tail
from sandbox.stack.guard import Guard

GROUP = "status_processor"
DEADLINE_SECONDS = 120.0


class Workers:
    """Starts workers on one broker and one database; `close` ends them."""

    def __init__(self, bootstrap: str, database_url: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.engine = create_engine(database_url)
        self._database_url = database_url
        self._folder = folder
        self._guard = Guard()
        self.children: list[Child] = []

    def start(self, *module: str) -> Child:
        """Start a worker and return at once."""
        number = len(self.children)
        env = {
            **os.environ,
            "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "PAYONCE_DATABASE_URL": self._database_url,
            "PAYONCE_FAUST_DATA_FOLDER": str(self._folder / f"faust-{number}"),
        }
        argv = [sys.executable, "-m", *(module or ("services.status_processor",))]
        child = Child(argv, env=env, log=self._folder / f"worker-{number}.log", guard=self._guard)
        self.children.append(child)
        return child

    def end(self, child: Child) -> int | None:
        """Send SIGTERM and return the exit code."""
        child.stop(signal.SIGTERM, 40)
        return child.exit_code()

    def close(self) -> None:
        """End every worker."""
        for child in self.children:
            child.kill()
        self._guard.close()
        self.engine.dispose()

    def publish(self, records: Iterable[OutgoingRecord]) -> None:
        """Write the records and wait for every report."""
        failures: list[Any] = []
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "enable.idempotence": True, "partitioner": "murmur2_random"}
        )
        for record in records:
            producer.produce(
                record.topic,
                record.value,
                record.key,
                headers=list(record.headers),
                on_delivery=lambda error, _: failures.append(error) if error else None,
            )
            producer.poll(0)
        assert producer.flush(30) == 0
        assert failures == []

    def rows(self, statement: str, **parameters: Any) -> Sequence[Any]:
        """Run a query."""
        with self.engine.connect() as connection:
            return connection.execute(text(statement), parameters).all()

    def execute(self, statement: str, **parameters: Any) -> None:
        """Run a command."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), parameters)

    def count(self, status: str, references: Sequence[str]) -> int:
        """Return how many of the client's references have that status."""
        statement = (
            "SELECT count(*) FROM payment_order WHERE payment_order_status = :status AND reference = ANY(:references)"
        )
        return int(self.rows(statement, status=status, references=list(references))[0][0])

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Poll the condition; fail with the workers' logs."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(log_tail(child.log) for child in self.children)
                raise AssertionError(f"{what}: not within {seconds} s\n{logs}")
            time.sleep(0.1)

    def lag(self) -> int:
        """Return how many records the group has not committed yet; ask again while no broker can tell."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                return self._lag()
            except KafkaException:  # a starved broker is fenced for a moment, and a partition has no leader then
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _lag(self) -> int:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        listed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP)])[GROUP].result()
        committed = {(each.topic, each.partition): each.offset for each in listed.topic_partitions}
        places = [TopicPartition(topic, partition) for topic in topics_read_by(GROUP) for partition in range(12)]
        ends = admin.list_offsets({place: OffsetSpec.latest() for place in places})
        behind = (
            end.result().offset - max(0, committed.get((place.topic, place.partition), 0))
            for place, end in ends.items()
        )
        return sum(behind)

    def read(self, topic: str, keys: set[bytes], partitions: int) -> list[Any]:
        """Return the messages of a topic with one of these keys, per partition in order."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "tests", "enable.auto.commit": False})
        found = []
        for partition in range(partitions):
            place = TopicPartition(topic, partition, 0)
            low, high = consumer.get_watermark_offsets(place, timeout=20)
            consumer.assign([TopicPartition(topic, partition, low)])
            position = low
            while position < high:
                for message in consumer.consume(500, timeout=1.0):
                    assert message.error() is None
                    position = (message.offset() or 0) + 1
                    if message.key() in keys:
                        found.append(message)
        consumer.close()
        return found
