"""From a record of a dead-letter topic to its row, and what becomes of the row when the letter comes again. Pure.

Nothing is refused here: a record that nobody signed as a dead letter is kept too, under its own place as its origin.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from payonce.dead_letters import SUFFIX
from payonce.domain.identity import name_based_id
from payonce.ports import Headers, Record
from payonce.ports.ops import Letter

_UNKNOWN = "unknown"
#: A counter is at most nine digits, a time at most the year 9999: whoever writes to the topic may write anything.
_MOST_DIGITS = 9
#: Names are indexed, and PostgreSQL indexes nothing longer than some 2,700 bytes.
_LONGEST_NAME = 200
_LONGEST_ERROR = 2_000
_LATEST_SECONDS = 253_402_300_799


def letter_of(record: Record) -> Letter:
    """Return the letter in a record of a dead-letter topic, open."""
    origin = _text(record, "dlt-origin", _LONGEST_NAME) or f"{record.topic}/{record.partition}/{record.offset}"
    group = _text(record, "dlt-group", _LONGEST_NAME) or _UNKNOWN
    seen_at = datetime.fromtimestamp(min(max(record.timestamp_ms, 0) / 1000, _LATEST_SECONDS), UTC)
    return Letter(
        letter_id=letter_id_of(origin, group),
        origin=origin,
        group=group,
        dlt_topic=record.topic,
        dlt_partition=record.partition,
        dlt_offset=record.offset,
        original_topic=record.topic.removesuffix(SUFFIX),
        order_id=_key_text(record.key),
        key=record.key,
        value=record.value,
        headers=tuple((_storable(name), value) for name, value in record.headers),
        timestamp_ms=record.timestamp_ms,
        event_type=_text(record, "ce_type", _LONGEST_NAME),
        reason=_text(record, "dlt-reason", _LONGEST_NAME) or _UNKNOWN,
        error=_text(record, "dlt-error", _LONGEST_ERROR) or "",
        attempts=_attempts(record),
        first_seen_at=seen_at,
        last_seen_at=seen_at,
        state="open",
        state_since=seen_at,
    )


def letter_id_of(origin: str, group: str) -> str:
    """Return the identity of a dead letter, fit for an address."""
    return name_based_id("dl", origin, group)


def merged(known: Letter | None, read: Letter) -> Letter:
    """Return the row after this letter was read, for the first time or again. Idempotent.

    Only a letter that has failed once more than the row knows reopens it: consumers that begin again at the start of
    their topic repeat old letters, and what was done about those stays done.
    """
    if known is None:
        return read
    if read.attempts <= known.attempts:
        return _seen_again(known, read)
    return replace(
        read,
        first_seen_at=min(known.first_seen_at, read.first_seen_at),
        state_since=read.last_seen_at,
        amendment=known.amendment,
        edit=known.edit if (known.key, known.value) == (read.key, read.value) else None,
    )


def original_headers(letter: Letter) -> Headers:
    """Return the message's own headers, without what was said about its failure."""
    return tuple((name, value) for name, value in letter.headers if not name.startswith(("dlt-", "replay-for")))


def _seen_again(known: Letter, read: Letter) -> Letter:
    place = (read.dlt_topic, read.dlt_partition)
    if place != (known.dlt_topic, known.dlt_partition) or read.dlt_offset <= known.dlt_offset:
        return known
    return replace(
        known,
        dlt_offset=read.dlt_offset,
        timestamp_ms=read.timestamp_ms,
        last_seen_at=max(known.last_seen_at, read.last_seen_at),
    )


def _attempts(record: Record) -> int:
    text = record.header("dlt-attempts") or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 1


def _text(record: Record, name: str, longest: int) -> str | None:
    value = record.header(name)
    return None if value is None else _storable(value)[:longest]


def _key_text(key: bytes | None) -> str | None:
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return None
    return text if 0 < len(text) <= _LONGEST_NAME and text.isprintable() else None


def _storable(text: str) -> str:
    """PostgreSQL's text holds every character but NUL."""
    return text.replace("\x00", "\ufffd")
