"""A dead letter keeps the message's bytes and its identity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.adapters.kafka.producer import producer_config
from payonce.catalog import topics
from payonce.dead_letters import LETTER_HEADERS_BYTES_MAX, SUFFIX, dead_letter, is_replay_for_other
from payonce.ports import OutgoingRecord, Record
from payonce.record_size import fits

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


def test_a_letter_of_a_record_larger_than_any_topic_takes_keeps_its_beginning_and_says_so() -> None:
    """A topic's limit counts compressed bytes: a writer that compresses writes what no letter of ours could hold."""
    huge = Record("payments.webhooks", 3, 41, b"key", b"[" + b" " * 5_000_000 + b"]", (("ce_id", b"1"),))

    letter = dead_letter(huge, reason="wrong_shape", error="no", group="g", at=0.0)

    headers = dict(letter.headers)
    assert fits(letter)
    assert (letter.key, letter.value) == (b"key", (huge.value or b"")[:65_536])
    assert (headers["ce_id"], headers["dlt-origin"]) == (b"1", b"payments.webhooks/3/41")
    assert headers["dlt-cut"] == b"5000002 bytes"


def test_a_letter_that_fits_is_not_cut() -> None:
    room = topics()[RECORD.topic].max_message_bytes - 2_000
    record = Record(RECORD.topic, 3, 41, b"key", b"x" * room, (("ce_id", b"1"),))

    letter = dead_letter(record, reason="not_json", error="\U0001f4b3" * 5_000, group="g", at=0.0)

    assert fits(letter)
    assert letter.value == record.value
    assert "dlt-cut" not in dict(letter.headers)


SIZES = st.sampled_from([0, 1, 1_000, 70_000, 600_000, 2_000_000])


@given(key=SIZES, value=SIZES, headers=st.lists(st.tuples(st.sampled_from(["ce_id", "dlt-origin"]), SIZES), max_size=3))
def test_whatever_a_record_is_its_letter_fits_the_dead_letter_topic(
    key: int, value: int, headers: list[tuple[str, int]]
) -> None:
    """Else it could never be set aside, and would hold its partition for ever. Undecodable bytes triple in a text."""
    record = Record(
        "payments.webhooks", 0, 0, b"k" * key, b"v" * value, tuple((name, b"\xff" * size) for name, size in headers)
    )

    letter = dead_letter(record, reason="not_json", error="no", group="g", at=0.0)

    assert fits(letter)
    assert {"dlt-reason", "dlt-origin", "dlt-group"} <= dict(letter.headers).keys()


def test_the_letter_of_a_record_with_many_headers_fits() -> None:
    record = Record("payments.webhooks", 0, 0, b"k", b"v", tuple((f"h{n}", b"x" * 900) for n in range(3_000)))

    assert fits(dead_letter(record, reason="not_json", error="no", group="g", at=0.0))
