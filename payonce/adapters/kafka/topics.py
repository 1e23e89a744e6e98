"""Topics as `schemas/topics.toml` declares them: create the missing, name what a worker would miss."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from payonce.catalog import Topic, topics

_REQUEST_SECONDS = 20.0


class BrokersAway(Exception):
    """No broker answered in time: check the address, or wait until the cluster is up."""


def create_topics(bootstrap_servers: str, *, replication_factor: int = 1, min_insync_replicas: int = 1) -> list[str]:
    """Create the declared topics that do not exist and return their names. Blocking, idempotent.

    Raises KafkaException when no broker answers or a topic cannot be made. Existing topics are left as they are.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    wanted = [_new_topic(topic, replication_factor, min_insync_replicas) for topic in topics().values()]
    created = []
    for name, future in admin.create_topics(wanted, request_timeout=_REQUEST_SECONDS).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
        else:
            created.append(name)
    return sorted(created)


def partition_counts(bootstrap_servers: str, names: Iterable[str], *, timeout_seconds: float = 10.0) -> dict[str, int]:
    """Return how many partitions each of the topics has, without those that do not exist.

    Blocking. Raises BrokersAway.
    """
    try:
        found = AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=timeout_seconds).topics
    except KafkaException as error:
        raise BrokersAway(f"{bootstrap_servers}: {error.args[0]}") from error
    return {name: len(found[name].partitions) for name in names if name in found}


def missing_topics(bootstrap_servers: str, names: Iterable[str], *, timeout_seconds: float = 10.0) -> list[str]:
    """Return which of the topics the cluster does not have. Blocking. Raises BrokersAway."""
    wanted = set(names)
    return sorted(wanted - set(partition_counts(bootstrap_servers, wanted, timeout_seconds=timeout_seconds)))


def _new_topic(topic: Topic, replication_factor: int, min_insync_replicas: int) -> NewTopic:
    config = {
        "retention.ms": str(topic.retention_ms),
        "max.message.bytes": str(topic.max_message_bytes),
        "min.insync.replicas": str(min_insync_replicas),
        "cleanup.policy": "delete",
    }
    return NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=replication_factor, config=config)
