"""Where partitions begin and end, on a real broker and without one."""

from __future__ import annotations

import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic

from payonce.adapters.kafka.log_bounds import LogBounds
from payonce.ports import TopicPartition
from tests.stacks import free_port


@pytest.mark.stack
def test_a_partition_begins_at_what_is_left_and_ends_at_what_comes_next(bootstrap: str) -> None:
    name = f"bounds-{uuid.uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result()
    producer = Producer({"bootstrap.servers": bootstrap})
    for _ in range(5):
        producer.produce(name, b"value", partition=1)
    assert producer.flush(30) == 0
    for deleted in admin.delete_records([KafkaPartition(name, 1, 3)]).values():
        deleted.result()
    empty, full = places = [TopicPartition(name, 0), TopicPartition(name, 1)]

    bounds = LogBounds(bootstrap, client_id="test")

    assert bounds.ends(places) == {empty: 0, full: 5}
    assert bounds.beginnings(places) == {empty: 0, full: 3}
    assert bounds.ends([*places, TopicPartition(name, 7)]) == {empty: 0, full: 5}
    assert bounds.ends([]) == {}


def test_where_no_broker_answers_nothing_is_known() -> None:
    bounds = LogBounds(f"127.0.0.1:{free_port()}", client_id="test")

    assert bounds.ends([TopicPartition("payments.commands", 0)]) == {}
