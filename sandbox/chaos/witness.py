"""Watches a world from outside, over its true addresses: announced payments, the groups' lag, the brokers' health."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from payonce.catalog import topics, topics_read_by
from sandbox.demo.analytics import Analytics

_GROUPS = ("psp_worker", "status_processor")
_ANSWER_SECONDS = 10.0


class Witness(Analytics):
    """The analytics consumer, which also remembers when it first heard that an order was paid."""

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__(bootstrap_servers, log_level=0)  # that brokers go away is no news here
        self._paid_at: dict[str, float] = {}

    def paid_at(self) -> Mapping[str, float]:
        """Return the moment (monotonic) at which each paid order was first announced as paid."""
        with self._lock:
            return dict(self._paid_at)

    def _keep(self, order: dict[str, Any]) -> None:  # Any: JSON
        super()._keep(order)
        if order["payment_order_status"] == "paid":
            with self._lock:
                self._paid_at.setdefault(order["order_id"], time.monotonic())


def total_lag(bootstrap_servers: str) -> int:
    """Return how many records the groups have not yet committed. Blocking. Raises KafkaException."""
    return sum(_lag_of(bootstrap_servers, group) for group in _GROUPS)


def _lag_of(bootstrap_servers: str, group: str) -> int:
    settings = {"bootstrap.servers": bootstrap_servers, "group.id": group, "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer(settings)
    try:
        places = [TopicPartition(name, n) for name in topics_read_by(group) for n in range(topics()[name].partitions)]
        return sum(_behind(consumer, place) for place in consumer.committed(places, timeout=_ANSWER_SECONDS))
    finally:
        consumer.close()


def _behind(consumer: Consumer, committed: TopicPartition) -> int:
    if committed.error:
        raise KafkaException(committed.error)
    low, high = consumer.get_watermark_offsets(committed, timeout=_ANSWER_SECONDS)
    return int(high - max(low, committed.offset))  # nothing committed yet is a negative offset


def fewest_replicas(bootstrap_servers: str) -> int:
    """Return how many brokers hold the partition that the fewest hold. Blocking. Raises KafkaException."""
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    found = client.list_topics(timeout=_ANSWER_SECONDS).topics
    return min(len(each.replicas) for name in topics() for each in found[name].partitions.values())


def replicas_in_sync(bootstrap_servers: str) -> bool:
    """Tell whether every partition has all its replicas in sync: then a broker may be missed. Blocking."""
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        found = client.list_topics(timeout=_ANSWER_SECONDS).topics.values()
    except KafkaException:
        return False
    return all(len(each.isrs) == len(each.replicas) for topic in found for each in topic.partitions.values())
