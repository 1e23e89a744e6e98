"""The dead-letter topics as an index: which records were set aside, and by whom. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from payonce.catalog import heir_of
from payonce.dead_letters import REASONS, SUFFIX
from payonce.ports import Record
from payonce.verification.digests import digest
from payonce.verification.findings import Finding

_WORKER = "psp_worker"


class DeadLetters:
    """Knows the first origin of every dead letter that was added."""

    def __init__(self) -> None:
        self._origins: defaultdict[str, set[int]] = defaultdict(set)

    def add(self, letters: Iterable[Record]) -> Iterator[Finding]:
        """Take dead letters in; yield those that do not say what they are, so that nobody could replay them."""
        for letter in letters:
            origin, group, reason = (letter.header(f"dlt-{name}") for name in ("origin", "group", "reason"))
            where = place_of(letter)
            if origin is None or group is None:
                yield Finding(where, "names no origin or no group")
                continue
            self._origins["worker" if group == _WORKER else "fold"].add(digest(origin))
            if reason not in REASONS:
                yield Finding(where, f"its reason is {reason!r}")
            elif not _origin_fits(letter, origin):
                yield Finding(where, f"its origin {origin!r} is not of this topic")

    def of_worker(self, record: Record) -> bool:
        """Return whether psp_worker set this command aside, now or when it was first read."""
        return digest(origin_of(record)) in self._origins["worker"]

    def of_fold(self, record: Record) -> bool:
        """Return whether the record was set aside for the fold."""
        return digest(origin_of(record)) in self._origins["fold"]


def origin_of(record: Record) -> str:
    """Return where a record was first, as its dead letter would name it: a replay keeps the place of the original."""
    return record.header("dlt-origin") or place_of(record)


def place_of(record: Record) -> str:
    """Return where a record lies."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def _origin_fits(letter: Record, origin: str) -> bool:
    topic, _, rest = origin.partition("/")
    partition, _, offset = rest.partition("/")
    return heir_of(topic) + SUFFIX == letter.topic and partition.isdecimal() and offset.isdecimal()
