"""A dead letter keeps the message's bytes and its identity."""

from __future__ import annotations

import pytest

from payonce.adapters.kafka.producer import producer_config
from payonce.catalog import topics
from payonce.dead_letters import LETTER_HEADERS_BYTES_MAX, SUFFIX, dead_letter, is_replay_for_other
from payonce.ports import OutgoingRecord, Record

RECORD = Record("payments.tokens", 3, 41, b"key", b"\x00raw", (("ce_id", b"1"),))
RECORD_AS_LETTER = OutgoingRecord("payments.tokens.dlt", b"key", b"\x00raw")


def as_read(letter: OutgoingRecord, *extra: tuple[str, bytes]) -> Record:
    return Record("payments.tokens", 7, 99, letter.key, letter.value, letter.headers + extra)


def test_a_dead_letter_keeps_bytes_key_and_headers_and_says_why() -> None:
    letter = dead_letter(RECORD, reason="not_json", error="bad byte", group="g", at=0.0)

    assert (letter.topic, letter.key, letter.value) == ("payments.tokens.dlt", b"key", b"\x00raw")
    assert letter.headers[0] == ("ce_id", b"1")
    assert dict(letter.headers)["dlt-origin"] == b"payments.tokens/3/41"
    assert dict(letter.headers)["dlt-reason"] == b"not_json"


def test_one_that_fails_again_after_its_replay_is_the_same_dead_letter_with_a_counter() -> None:
    first = dead_letter(RECORD, reason="not_json", error="", group="g", at=0.0)

    again = dead_letter(as_read(first, ("replay-for", b"g")), reason="wrong_shape", error="", group="g", at=1.0)

    headers = dict(again.headers)
    assert (headers["dlt-origin"], headers["dlt-attempts"]) == (b"payments.tokens/3/41", b"2")
    assert "replay-for" not in headers


def test_a_replay_is_read_only_by_the_group_that_failed() -> None:
    replay = Record("payments.tokens", 0, 0, b"k", b"v", (("replay-for", b"worker"),))

    assert not is_replay_for_other(replay, "worker")
    assert is_replay_for_other(replay, "fold")
    assert not is_replay_for_other(RECORD, "fold")


@pytest.mark.parametrize("forged", [b"x", b"-1", b"9" * 5_000, b"\xff", b""])
def test_a_forged_counter_does_not_stop_the_letter(forged: bytes) -> None:
    """Whatever a record's headers say, it must be possible to set it aside."""
    letter = dead_letter(
        as_read(RECORD_AS_LETTER, ("dlt-attempts", forged)), reason="not_json", error="", group="g", at=0
    )

    assert dict(letter.headers)["dlt-attempts"] == b"1"


def test_a_dead_letter_of_the_largest_record_fits_its_topic_and_the_producer() -> None:
    """Else one huge record could never be set aside and would hold its partition for ever."""
    room = LETTER_HEADERS_BYTES_MAX
    for name in ("payments.commands", "payments.tokens", "payments.webhooks"):
        letters = topics()[name + SUFFIX]
        assert letters.max_message_bytes >= topics()[name].max_message_bytes + room
        assert int(producer_config("x", "y")["message.max.bytes"]) >= letters.max_message_bytes
