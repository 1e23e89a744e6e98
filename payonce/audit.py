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
#: What a bigint holds.
_MOST_ENTRIES = 2**63
#: PostgreSQL indexes nothing longer than some 2,700 bytes, which are a quarter as many characters.
_LONGEST_SUBJECT = 500
#: The detail of a renumbered entry that says what it was called before.
_FORMER_NAMES = "renumbered"


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


def follows(entry: ChainedAction, last: ChainedAction | None) -> bool:
    """Return whether this is the next entry after `last` (None: the first), as its number and hash before it say."""
    return (entry.sequence, entry.prev_hash) == ((last.sequence + 1, last.hash) if last else (1, GENESIS))


def check_against_topic(
    table: Iterable[ChainedAction], topic: Iterable[ChainedAction], *, published_up_to: int
) -> tuple[int, int]:
    """Return how many entries the table and the topic hold. Raises BrokenChain.

    The topic may repeat an entry (a crash between publishing and noting it) and may lack those after
    `published_up_to`, which are on their way. An entry that a restored database had lost the number of must be in the
    table under its new one.
    """
    stored = list(table)
    check(stored)
    successors = {former: entry for entry in stored for former in former_hashes(entry)}
    anchored: set[int] = set()
    for theirs in topic:
        ours = stored[theirs.sequence - 1] if 1 <= theirs.sequence <= len(stored) else None
        if ours is not None and ours.hash == theirs.hash == hash_of(theirs):
            anchored.add(theirs.sequence)
        elif not _is_same_deed(successors.get(theirs.hash), theirs):
            detail = (
                f"the table and {TOPIC} tell different stories" if ours else f"is on {TOPIC} and gone from the table"
            )
            raise BrokenChain(theirs.sequence, detail)
    for sequence in range(1, max(published_up_to, *anchored, 0) + 1):
        if sequence not in anchored:
            raise BrokenChain(sequence, f"is missing on {TOPIC}")
    return len(stored), len(anchored)


def renumbered(entry: ChainedAction, after: ChainedAction | None) -> ChainedAction:
    """Return the same deed as the entry that follows `after`, saying which number and hash it had before.

    For the deeds of a restored database whose numbers stand on payments.ops already, for other deeds.
    """
    names = [*_former_names(entry), {"sequence": entry.sequence, "hash": entry.hash}]
    return chained(replace(entry.action, detail={**entry.action.detail, _FORMER_NAMES: names}), after)


def former_hashes(entry: ChainedAction) -> tuple[str, ...]:
    """Return the hashes that the deed had under earlier numbers, oldest first; mostly none."""
    return tuple(str(name.get("hash")) for name in _former_names(entry))


def naming(former_hash: str) -> dict[str, Any]:
    """Return the part of an entry's detail that says that the deed had this hash before."""
    return {_FORMER_NAMES: [{"hash": former_hash}]}


def audit_record(entry: ChainedAction) -> OutgoingRecord:
    """Return the record that anchors an entry on payments.ops."""
    return OutgoingRecord(
        topic=TOPIC,
        key=entry.action.actor.encode(),
        value=orjson.dumps({**_document(entry), "hash": entry.hash}, option=orjson.OPT_SORT_KEYS),
        headers=(("content-type", b"application/json"),),
    )


def entry_of(body: bytes) -> ChainedAction:
    """Return the entry in a record's body. Raises ValueError, KeyError or TypeError on anything else.

    Whatever is returned has a hash, and the table gives it back as it is.
    """
    read = orjson.loads(body)
    if not _is_shaped(read) or not _is_kept(read):
        raise ValueError("it is no entry that the table could hold")
    at = datetime.fromisoformat(read["at"])
    if at.tzinfo is None:
        raise ValueError("its time is of no zone")
    action = Action(
        at=at,
        actor=read["actor"],
        action=read["action"],
        subject=read["subject"],
        why=read["why"],
        before_hash=read["before_hash"],
        after_hash=read["after_hash"],
        detail=read["detail"],
    )
    entry = ChainedAction(read["sequence"], action, read["prev_hash"], read["hash"])
    try:
        hash_of(entry)
    except (TypeError, OverflowError) as error:  # nested too deep; a time of no year that there is in UTC
        raise ValueError(f"it is no entry that has a hash: {error}") from error
    return entry


def sha256(*parts: bytes | None) -> str:
    """Return a hash over byte strings; each is counted, so none can flow into its neighbour."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"-" if part is None else b"%d:%b" % (len(part), part))
    return digest.hexdigest()


def _is_shaped(read: dict[str, Any]) -> bool:
    texts = [read[name] for name in ("actor", "action", "subject", "why", "prev_hash", "hash")]
    hashes = [each for each in (read["before_hash"], read["after_hash"]) if each is not None]
    sequence, detail = read["sequence"], read["detail"]
    return (
        all(isinstance(each, str) for each in (*texts, *hashes))
        and type(sequence) is int
        and 0 < sequence < _MOST_ENTRIES
        and len(read["subject"]) <= _LONGEST_SUBJECT
        and isinstance(detail, dict)
    )


def _is_kept(document: Any) -> bool:
    """Return whether jsonb keeps all of it: no text holds NUL, and a fraction or exponent may be written another way.

    An explicit stack, since a hostile detail may be nested deeper than Python recurses.
    """
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += [*node, *node.values()]
        elif isinstance(node, list):
            waiting += node
        elif isinstance(node, float) or (isinstance(node, str) and "\0" in node):
            return False
    return True


def _former_names(entry: ChainedAction) -> list[dict[str, Any]]:
    names = entry.action.detail.get(_FORMER_NAMES)
    return [name for name in names if isinstance(name, dict)] if isinstance(names, list) else []


def _is_same_deed(successor: ChainedAction | None, entry: ChainedAction) -> bool:
    """Return whether the entry is what it claims to be, and its successor repeats it word for word."""
    if successor is None or entry.hash != hash_of(entry):
        return False
    return _without_former_names(successor.action) == _without_former_names(entry.action)


def _without_former_names(action: Action) -> Action:
    return replace(action, detail={name: said for name, said in action.detail.items() if name != _FORMER_NAMES})


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
