"""The beginning of topics: where a time falls in them, and deleting what lies before an offset."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient

from payonce.catalog import topics as declared
from payonce.ports import PublishFailed, TopicPartition

_SECONDS = 15.0


class KafkaDeletion:
    """Looks up and deletes by the admin's protocol. Each call opens its own connection: it is needed once a day."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers

    async def first_younger(self, topics: Sequence[str], at: float) -> Mapping[TopicPartition, int]:
        """Return each partition's first offset written at that unix time or later, else its end.

        Blocks no loop. Raises PublishFailed when the cluster does not answer.
        """
        return await asyncio.to_thread(self._first_younger, topics, at)

    async def delete_before(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Delete the records below these offsets. Idempotent, blocks no loop. Raises PublishFailed."""
        await asyncio.to_thread(self._delete_before, offsets)

    def _first_younger(self, topics: Sequence[str], at: float) -> Mapping[TopicPartition, int]:
        consumer = Consumer({"bootstrap.servers": self._bootstrap_servers, "group.id": "ops_console.deletion"})
        wanted = [
            KafkaPartition(name, partition, int(at * 1000))
            for name in topics
            for partition in range(declared()[name].partitions)
        ]
        try:
            found = consumer.offsets_for_times(wanted, timeout=_SECONDS)
            return {TopicPartition(each.topic, each.partition): _offset(consumer, each) for each in found}
        except KafkaException as error:
            raise PublishFailed(f"where the dead-letter topics begin: {error}") from error
        finally:
            consumer.close()

    def _delete_before(self, offsets: Mapping[TopicPartition, int]) -> None:
        admin = AdminClient({"bootstrap.servers": self._bootstrap_servers})
        wanted = [KafkaPartition(place.topic, place.partition, at) for place, at in sorted(offsets.items())]
        try:
            for deletion in admin.delete_records(wanted, request_timeout=_SECONDS).values():
                deletion.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.OFFSET_OUT_OF_RANGE:  # gone already
                raise PublishFailed(f"deleting old dead letters: {error}") from error


def _offset(consumer: Consumer, found: KafkaPartition) -> int:
    if found.error is not None:
        raise KafkaException(found.error)
    if found.offset >= 0:
        return int(found.offset)
    _, end = consumer.get_watermark_offsets(found, timeout=_SECONDS)
    return int(end)
