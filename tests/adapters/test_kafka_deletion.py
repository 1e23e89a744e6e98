"""Deleting the beginning of a real topic: where a time falls, and what is gone afterwards."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as KafkaPartition

from payonce.adapters.kafka.deletion import KafkaDeletion
from payonce.ports import PublishFailed, TopicPartition

pytestmark = pytest.mark.stack
TOPIC = "payments.webhooks.dlt"
DAY = 24 * 3600


def first_offset(bootstrap: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test-deletion"})
    low, _ = consumer.get_watermark_offsets(KafkaPartition(TOPIC, 0), timeout=20)
    consumer.close()
    return int(low)


@pytest.fixture
def _left_by_others(bootstrap: str) -> None:
    """Young records before the old ones, as any other test may leave them."""
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(TOPIC, b"left", partition=0)
    assert producer.flush(20) == 0


@pytest.mark.usefixtures("_left_by_others")
async def test_only_what_lies_before_the_offset_is_deleted_and_again_is_harmless(bootstrap: str) -> None:
    now, deletion, place = time.time(), KafkaDeletion(bootstrap), TopicPartition(TOPIC, 0)
    others = await deletion.first_younger([TOPIC], now + DAY)
    await deletion.delete_before({place: others[place]})  # what other tests have left lies before the old records
    producer = Producer({"bootstrap.servers": bootstrap})
    for age_days in (120, 100, 95, 10, 0):
        producer.produce(TOPIC, b"x", partition=0, timestamp=int((now - age_days * DAY) * 1000))
        assert producer.flush(20) == 0

    young = await deletion.first_younger([TOPIC], now - 90 * DAY)
    everything_is_old = await deletion.first_younger([TOPIC], now + DAY)

    end = everything_is_old[place]
    assert set(young) == {TopicPartition(TOPIC, partition) for partition in range(3)}
    assert end - young[place] == 2
    for _ in range(2):
        await deletion.delete_before({place: young[place]})
        assert first_offset(bootstrap) == young[place]


async def test_brokers_that_are_away_are_a_reason_to_wait() -> None:
    with pytest.raises(PublishFailed):
        await KafkaDeletion("127.0.0.1:1").first_younger([TOPIC], 0.0)
