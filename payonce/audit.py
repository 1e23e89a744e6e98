"""The audit chain: every entry carries the SHA-256 of the one before, so that a change, a gap or an end cut off shows.

Pure. The table `ops_action` and the topic payments.ops hold the same chain; whoever rewrites one contradicts the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from payonce.catalog import topics_read_by
from payonce.ports.log import OutgoingRecord
from payonce.ports.ops import Action, ChainedAction

#: The one topic that an auditor reads.
(TOPIC,) = topics_read_by("audit")
#: What the first entry names as the one before.
GENESIS = "0" * 64


class BrokenChain(Exception):
    """An entry is not what the chain says it was; the message names the first one."""

    def __init__(self, sequence: int, detail: str) -> None:
        super().__init__(f"entry {sequence}: {detail}")
        self.sequence = sequence
        self.detail = detail


def chained(action: Action, after: ChainedAction | None) -> ChainedAction:
    """Return the action as the entry that follows `after` (None: as the first)."""
    sequence, prev_hash = (after.sequence + 1, after.hash) if after else (1, GENESIS)
    entry = ChainedAction(sequence, replace(action, at=_whole_ms(action.at)), prev_hash, "")
    return replace(entry, hash=hash_of(entry))


def hash_of(entry: ChainedAction) -> str:
    """Return what the entry's hash must be."""
    return hashlib.sha256(_canonical(entry)).hexdigest()


def check(entries: Iterable[ChainedAction]) -> ChainedAction | None:
    """Return the last of the entries, oldest first. Raises BrokenChain at the first that does not follow."""
    last: ChainedAction | None = None
    for entry in entries:
        expected = (last.sequence + 1, last.hash) if last else (1, GENESIS)
        if entry.sequence != expected[0]:
            raise BrokenChain(expected[0], f"is missing; entry {entry.sequence} stands in its place")
        if entry.prev_hash != expected[1]:
            raise BrokenChain(entry.sequence, "does not name the entry before it")
        if entry.hash != hash_of(entry):
            raise BrokenChain(entry.sequence, "has been changed: its hash is another")
        last = entry
    return last


def check_against_topic(
    table: Iterable[ChainedAction], topic: Iterable[ChainedAction], *, published_up_to: int
) -> tuple[int, int]:
    """Return how many entries the table and the topic hold. Raises BrokenChain.

    The topic may repeat an entry (a crash between publishing and noting it) and may lack those after
    `published_up_to`, which are on their way.
    """
    stored = list(table)
    check(stored)
    anchored = _once_each(topic)
    check(anchored)
    for ours, theirs in zip(stored, anchored, strict=False):
        if ours.hash != theirs.hash:
            raise BrokenChain(ours.sequence, f"the table and {TOPIC} tell different stories")
    if len(anchored) > len(stored):
        raise BrokenChain(len(stored) + 1, f"is on {TOPIC} and gone from the table")
    if len(anchored) < published_up_to:
        raise BrokenChain(len(anchored) + 1, f"is missing on {TOPIC}")
    return len(stored), len(anchored)


def audit_record(entry: ChainedAction) -> OutgoingRecord:
    """Return the record that anchors an entry on payments.ops."""
    return OutgoingRecord(
        topic=TOPIC,
        key=entry.action.actor.encode(),
        value=orjson.dumps({**_document(entry), "hash": entry.hash}, option=orjson.OPT_SORT_KEYS),
        headers=(("content-type", b"application/json"),),
    )


def entry_of(body: bytes) -> ChainedAction:
    """Return the entry in a record's body. Raises ValueError or KeyError on anything else."""
    read = orjson.loads(body)
    action = Action(
        at=datetime.fromisoformat(read["at"]),
        actor=read["actor"],
        action=read["action"],
        subject=read["subject"],
        why=read["why"],
        before_hash=read["before_hash"],
        after_hash=read["after_hash"],
        detail=read["detail"],
    )
    return ChainedAction(int(read["sequence"]), action, str(read["prev_hash"]), str(read["hash"]))


def sha256(*parts: bytes | None) -> str:
    """Return a hash over byte strings; each is counted, so none can flow into its neighbour."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"-" if part is None else b"%d:%b" % (len(part), part))
    return digest.hexdigest()


def _once_each(entries: Iterable[ChainedAction]) -> list[ChainedAction]:
    """Drop repetitions of an entry by itself; anything else stays, and breaks the chain where it stands."""
    kept: list[ChainedAction] = []
    for entry in entries:
        if not (1 <= entry.sequence <= len(kept) and kept[entry.sequence - 1] == entry):
            kept.append(entry)
    return kept


def _canonical(entry: ChainedAction) -> bytes:
    return orjson.dumps(_document(entry), option=orjson.OPT_SORT_KEYS)


def _document(entry: ChainedAction) -> dict[str, Any]:
    action = entry.action
    return {
        "sequence": entry.sequence,
        "at": action.at.astimezone(UTC).isoformat(),
        "actor": action.actor,
        "action": action.action,
        "subject": action.subject,
        "why": action.why,
        "before_hash": action.before_hash,
        "after_hash": action.after_hash,
        "detail": dict(action.detail),
        "prev_hash": entry.prev_hash,
    }


def _whole_ms(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
