"""Dead letters: a message set aside with its reason, its bytes untouched, and the way it comes back.

Identity is (first origin, failing group): a message that fails again after a replay is the same dead letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, get_args

from payonce.catalog import heir_of
from payonce.ports import Headers, OutgoingRecord, Record
from payonce.record_size import fits

Reason = Literal[
    "not_json",  # the value is no JSON document
    "wrong_shape",  # it does not fit its schema
    "missing_type",  # no ce_type header
    "unknown_type",  # a type that this topic does not carry
    "unknown_version",  # a schema version that we do not know
    "key_mismatch",  # the key is not the order id in the body
    "mode_mismatch",  # a test event on a live system, or the other way round
    "impossible_event",  # the PSP's object contradicts its own documentation
    "unresolved",  # nobody could say which order it belongs to
    "rejected_by_database",  # PostgreSQL refuses the data itself
    "unsupported",  # valid, but not offered by this version
    "psp_refused",  # the PSP refuses the request: a copy for ops, the order is told
    "unknown_outcome",  # nobody knows whether the PSP carried it out
    "retries_exhausted",  # one order kept failing while others succeeded
    "too_large",  # what it leads to is larger than its topic takes
]
REASONS: tuple[Reason, ...] = get_args(Reason)
SUFFIX = ".dlt"
#: What the reason adds to a record at most (the error is cut); the dead-letter topics and the producer have this room.
LETTER_HEADERS_BYTES_MAX = 16_384
#: What is kept of a record that is too large for a letter, which only a writer that compresses can have written.
_CUT_VALUE_BYTES = 65_536
_CUT_HEADERS = 32
_CUT_HEADER_BYTES = 1_024
_COUNT = re.compile(r"[0-9]{1,6}")


def dead_letter(record: Record, *, reason: Reason, error: str, group: str, at: float) -> OutgoingRecord:
    """Return the record for the dead-letter topic; `at` is unix seconds. It fits there, whatever the record is. Pure.

    One that was compressed may be larger than any letter: then its beginning is kept, and `dlt-cut` says of how much.
    """
    attempts = _attempts_before(record) + 1
    origin = record.header("dlt-origin") or f"{record.topic}/{record.partition}/{record.offset}"
    why = {
        "dlt-reason": reason,
        "dlt-error": error[:2000],
        "dlt-origin": origin,
        "dlt-group": group,
        "dlt-attempts": str(attempts),
        "dlt-at": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
    }
    original = tuple((name, value) for name, value in record.headers if not name.startswith(("dlt-", "replay-for")))
    letter = OutgoingRecord(heir_of(record.topic) + SUFFIX, record.key, record.value, original + _encoded(why))
    return letter if fits(letter) else _cut(letter, original, why)


def _encoded(why: Mapping[str, str]) -> Headers:
    return tuple((name, value.encode("utf-8", "replace")) for name, value in why.items())


def _cut(letter: OutgoingRecord, original: Headers, why: Mapping[str, str]) -> OutgoingRecord:
    """Return what fits of it. Cut JSON is no JSON, so that a replay of it comes back and does nothing else."""
    short = [each for each in original if len(each[0]) + len(each[1] or b"") <= _CUT_HEADER_BYTES]
    size = {"dlt-cut": f"{len(letter.value or b'')} bytes", "dlt-origin": why["dlt-origin"][:_CUT_HEADER_BYTES]}
    return replace(
        letter,
        key=letter.key if len(letter.key or b"") <= _CUT_HEADER_BYTES else None,
        value=None if letter.value is None else letter.value[:_CUT_VALUE_BYTES],
        headers=tuple(short[:_CUT_HEADERS]) + _encoded({**why, **size}),
    )


def _attempts_before(record: Record) -> int:
    """Return how often it has failed before; a header that is no such number is not ours and counts nothing."""
    value = record.header("dlt-attempts") or ""
    return int(value) if _COUNT.fullmatch(value) else 0


def is_replay_for_other(record: Record, group: str) -> bool:
    """Return whether the record is a replay meant for another consumer group: acknowledge it unread."""
    wanted = record.header("replay-for")
    return wanted is not None and wanted != group
