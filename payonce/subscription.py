"""The ports between a consumer group's member and the process that works on what it reads.

The member reads, pauses, commits and tells of rebalances; it never looks into a record. The subscriber decides what may
be committed. They meet in the subscriber's event loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from payonce.ports import Record, TopicPartition


class Subscriber(Protocol):
    """Works on records. Every method is called in its own event loop and must not block it."""

    def assigned(self, committed: Mapping[TopicPartition, int | None]) -> None:
        """Take note of new partitions, each with the group's committed offset; they stay paused until `open`."""
        ...

    def received(self, records: Sequence[Record]) -> None:
        """Take records over. Those of partitions that are not open are dropped: they will come again."""
        ...

    async def revoked(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """End the work on these partitions within seconds; return the next offset of each that has one to commit."""
        ...

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget these partitions at once: they belong to others already, nothing may be committed."""
        ...


class GroupMember(Protocol):
    """A member of a consumer group. Every method may be called from the loop at any time, and does not block."""

    def open(self, partition: TopicPartition, offset: int | None) -> None:
        """Start reading an assigned partition: at this offset, or where the group stands (None)."""
        ...

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Read nothing from exactly these; polling goes on. Applied again to whatever is assigned later."""
        ...

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit next offsets, some time soon; a commit that fails is repeated with the next one."""
        ...
