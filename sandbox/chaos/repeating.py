"""Publishes what is in the topics once more, byte for byte: duplicates by the thousand, in the old order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from payonce.catalog import topics
from sandbox.chaos.waiting import asking_kafka

REPEATED = ("payments.commands", "payments.tokens", "payments.webhooks")
_READ_SECONDS = 60.0
_PUBLISH_SECONDS = 120.0


class RepeatFailed(Exception):
    """The copies could not be made, so that the run would claim a fault that never happened."""


def repeat_topics(bootstrap_servers: str, most: int) -> int:
    """Publish the newest `most` records of each topic again; return how many that were. Blocking.

    Raises RepeatFailed, or Overdue when Kafka does not answer for long.
    """
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "acks": "all", "enable.idempotence": True, "log_level": 0}
    )
    failed: list[object] = []
    count = 0
    for name in REPEATED:
        for record in asking_kafka(partial(_newest, bootstrap_servers, name, most), _READ_SECONDS):
            # The partition is taken over: a copy belongs where its original is.
            producer.produce(
                name,
                record.value(),
                record.key(),
                record.partition(),
                on_delivery=lambda error, _: failed.append(error) if error else None,
                headers=record.headers(),
            )
            producer.poll(0)
            count += 1
    if left := producer.flush(_PUBLISH_SECONDS):
        raise RepeatFailed(f"{left} of {count} copies were not acknowledged in {_PUBLISH_SECONDS:g} s")
    if failed:
        raise RepeatFailed(f"{len(failed)} of {count} copies failed, first with {failed[0]}")
    return count


def _newest(bootstrap_servers: str, name: str, most: int) -> list[Message]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "chaos-repeating",
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    try:
        partitions = topics()[name].partitions
        ends = {n: consumer.get_watermark_offsets(TopicPartition(name, n), timeout=20)[1] for n in range(partitions)}
        starts = {n: max(0, end - most // partitions) for n, end in ends.items() if end}
        consumer.assign([TopicPartition(name, n, start) for n, start in starts.items()])
        return list(_until(consumer, {n: ends[n] for n in starts}))
    finally:
        consumer.close()


def _until(consumer: Consumer, ends: dict[int, int]) -> Iterator[Message]:
    """Yield records up to the ends that were read before the first copy: a copy is not copied again."""
    deadline = time.monotonic() + _READ_SECONDS
    while ends:
        if time.monotonic() > deadline:
            raise RepeatFailed(f"partitions {sorted(ends)} could not be read in {_READ_SECONDS:g} s")
        for message in consumer.consume(500, timeout=0.2):
            if error := message.error():
                if not error.retriable():
                    raise KafkaException(error)
                continue
            partition, offset = message.partition(), message.offset()
            assert partition is not None, "a consumed record has a place"
            assert offset is not None, "a consumed record has a place"
            if partition in ends and offset < ends[partition]:
                yield message
            if partition in ends and offset >= ends[partition] - 1:
                del ends[partition]
