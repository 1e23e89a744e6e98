"""How a member joins its group, and what ends it: settings, the errors that are final, a look at the cluster."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

#: They come as messages or commit errors, and `fatal()` is False there.
ENDING_CODES = frozenset(
    {
        KafkaError._FATAL,  # noqa: SLF001  (the library's public name for it)
        KafkaError._FENCED,  # noqa: SLF001
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    }
)


class BrokersAway(Exception):
    """No broker answers at the configured address: check it, or wait until the cluster is up."""


def consumer_config(
    bootstrap_servers: str, *, group: str, session_timeout_ms: int, group_instance_id: str | None = None
) -> dict[str, str | int | bool]:
    """Return the settings of a cooperative member that commits by itself only."""
    config: dict[str, str | int | bool] = {
        "bootstrap.servers": bootstrap_servers,
        "client.id": group,
        "group.id": group,
        "partition.assignment.strategy": "cooperative-sticky",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "session.timeout.ms": session_timeout_ms,
        "heartbeat.interval.ms": min(3_000, session_timeout_ms // 3),
        "queued.max.messages.kbytes": 16_384,
        "log.connection.close": False,
    }
    return config | ({"group.instance.id": group_instance_id} if group_instance_id else {})


def partition_counts(bootstrap_servers: str, topics: Iterable[str], *, timeout_seconds: float = 10.0) -> dict[str, int]:
    """Return how many partitions each of the topics has, without those that do not exist.

    Blocking. Raises BrokersAway.
    """
    try:
        found = AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=timeout_seconds).topics
    except KafkaException as error:
        raise BrokersAway(f"{bootstrap_servers}: {error.args[0]}") from error
    return {name: len(found[name].partitions) for name in topics if name in found}
