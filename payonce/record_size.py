"""How large a record is to its topic, so that one that no retry can ever deliver is refused before it is sent. Pure."""

from __future__ import annotations

from payonce.catalog import topics
from payonce.ports import OutgoingRecord, RecordTooLarge

#: What Kafka's own format adds at most: to a record, and to each of its headers.
_FRAME_BYTES = 1_024
_HEADER_FRAME_BYTES = 8


def size_of(record: OutgoingRecord) -> int:
    """Return at least the bytes that the record takes in the log, uncompressed and alone in its batch."""
    headers = sum(len(name) + len(value or b"") + _HEADER_FRAME_BYTES for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers + _FRAME_BYTES


def fits(record: OutgoingRecord) -> bool:
    """Return whether its topic takes it; of one that is not declared, the broker must say."""
    topic = topics().get(record.topic)
    return topic is None or size_of(record) <= topic.max_message_bytes


def require_fit(record: OutgoingRecord) -> None:
    """Raise RecordTooLarge unless its topic takes it."""
    if not fits(record):
        raise RecordTooLarge(f"{record.topic}: {size_of(record)} bytes are more than the topic takes")
