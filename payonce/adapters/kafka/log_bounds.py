"""Where partitions begin and end, asked over a connection of its own: the one that reads may be what is stuck."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from confluent_kafka import KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from payonce.ports import TopicPartition

#: A partition whose leader does not answer by then has no end for now.
_REQUEST_SECONDS = 5.0


class LogBounds:
    """Asks the brokers. May be used by several threads at once."""

    def __init__(self, bootstrap_servers: str, *, client_id: str) -> None:
        self._admin = AdminClient(
            {"bootstrap.servers": bootstrap_servers, "client.id": client_id, "log.connection.close": False}
        )

    def ends(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the next offset to be written in each partition; one that nobody leads now is missing.

        Blocking, up to five seconds. Never raises because brokers are away.
        """
        return self._offsets(places, OffsetSpec.latest())

    def beginnings(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that each partition still has. Otherwise as `ends`."""
        return self._offsets(places, OffsetSpec.earliest())

    def _offsets(self, places: Iterable[TopicPartition], which: OffsetSpec) -> dict[TopicPartition, int]:
        asked = {KafkaPartition(place.topic, place.partition): which for place in places}
        if not asked:
            return {}
        answers = self._admin.list_offsets(asked, request_timeout=_REQUEST_SECONDS)
        found = {}
        for place, answer in answers.items():
            with suppress(KafkaException):
                found[TopicPartition(place.topic, place.partition)] = int(answer.result().offset)
        return found
