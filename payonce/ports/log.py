"""The log: records, where they lie, and publishing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read from the log. `timestamp_ms` is the broker's or producer's, unix milliseconds."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int = 0

    @property
    def topic_partition(self) -> TopicPartition:
        """Where it lies."""
        return TopicPartition(self.topic, self.partition)

    def header(self, name: str) -> str | None:
        """Return the first header of that name as text (undecodable bytes replaced), or None."""
        for key, value in self.headers:
            if key == name:
                return value.decode("utf-8", "replace") if value is not None else None
        return None


class PublishFailed(Exception):
    """The record is not known to be written. It may still arrive: sending it again must be harmless."""


class RecordTooLarge(Exception):
    """Permanent: the topic takes no record of this size, so it is not written, and never will be."""


class LogProducer(Protocol):
    """Publishes records durably (acks of all in-sync replicas)."""

    async def publish(self, record: OutgoingRecord) -> None:
        """Return once the broker has acknowledged the record.

        Raises PublishFailed if that is not known (repeating is harmless), RecordTooLarge if repeating is vain.
        """
        ...
