"""Deletes old records of the dead-letter topics: none that is younger than 90 days, none above an unanswered letter.

The rows keep every letter's bytes, so what is deleted is only the second copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from payonce.ports import Clock, TopicPartition
from payonce.ports.ops import OpsStore

KEPT_SECONDS = 90 * 24 * 3600
log = structlog.get_logger()


class LogDeletion(Protocol):
    """Looks at and shortens the beginning of topics."""

    async def first_younger(self, topics: Sequence[str], at: float) -> Mapping[TopicPartition, int]:
        """Return each partition's first offset written at that unix time or later (else its end).

        Raises PublishFailed when no broker answers.
        """
        ...

    async def delete_before(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Delete the records below these offsets. Idempotent. Raises PublishFailed."""
        ...


class Retention:
    """Once a day, in the process that leads."""

    def __init__(self, store: OpsStore, deletion: LogDeletion, clock: Clock, topics: Sequence[str]) -> None:
        self._store = store
        self._deletion = deletion
        self._clock = clock
        self._topics = list(topics)

    async def run_once(self) -> Mapping[TopicPartition, int]:
        """Delete what may go; return the new beginnings. Raises StoreUnavailable or PublishFailed."""
        young = await self._deletion.first_younger(self._topics, self._clock.now() - KEPT_SECONDS)
        indexed, unresolved = await self._store.run(lambda tx: (tx.positions(), tx.oldest_unresolved()))
        beginnings = deletable(young, indexed, unresolved)
        if beginnings:
            await self._deletion.delete_before(beginnings)
            log.info("dead_letter_records_deleted", before={str(place): at for place, at in beginnings.items()})
        return beginnings


def deletable(
    first_young: Mapping[TopicPartition, int],
    indexed: Mapping[TopicPartition, int],
    oldest_unresolved: Mapping[TopicPartition, int],
) -> Mapping[TopicPartition, int]:
    """Return below which offset records may go: old ones, indexed, answered as all before them are. Pure."""
    limits = {
        place: min(young, indexed.get(place, 0), oldest_unresolved.get(place, young))
        for place, young in first_young.items()
    }
    return {place: limit for place, limit in limits.items() if limit > 0}
