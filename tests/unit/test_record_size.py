"""What is too large for its topic is known before it is sent, and what we write is bounded below that."""

from __future__ import annotations

import pytest

from payonce.catalog import topics
from payonce.ports import OutgoingRecord, RecordTooLarge
from payonce.record_size import fits, require_fit, size_of
from services.checkout_api.bodies import API_LIMIT_BYTES
from services.checkout_api.webhooks import LIMIT_BYTES

TOPIC = "payments.tokens"
LIMIT = topics()[TOPIC].max_message_bytes


def record_of(size: int) -> OutgoingRecord:
    """A record that counts as so many bytes."""
    empty = OutgoingRecord(TOPIC, b"key", b"", (("ce_id", b"1"), ("other", b"")))
    return OutgoingRecord(TOPIC, b"key", b"x" * (size - size_of(empty)), empty.headers)


def test_the_limit_is_the_topic_s() -> None:
    assert fits(record_of(LIMIT))
    require_fit(record_of(LIMIT))
    with pytest.raises(RecordTooLarge, match=TOPIC):
        require_fit(record_of(LIMIT + 1))


def test_of_a_topic_that_is_not_declared_the_broker_must_say() -> None:
    assert fits(OutgoingRecord("elsewhere", None, b"x" * 10_000_000))


def test_the_largest_request_fits_its_topic_with_room_for_headers() -> None:
    """JSON of ours is never longer than the JSON it came from, and a command adds ids and times of known length."""
    assert topics()["payments.commands"].max_message_bytes >= API_LIMIT_BYTES * 2
    assert topics()["payments.webhooks"].max_message_bytes >= LIMIT_BYTES + LIMIT_BYTES // 2
