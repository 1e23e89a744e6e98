"""How a member joins its group, and what ends it: settings, and the errors that are final."""

from __future__ import annotations

from confluent_kafka import KafkaError

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
