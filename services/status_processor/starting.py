"""Where to begin the partitions of an assignment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from payonce.ports import TopicPartition
from services.status_processor.succession import Hole


@dataclass(frozen=True, slots=True)
class Starts:
    """The offset to begin each partition at; what has expired before it was folded; logs that have lost their end."""

    offsets: Mapping[TopicPartition, int]
    expired: tuple[Hole, ...]
    shortened: tuple[TopicPartition, ...]


def starts(
    committed: Mapping[TopicPartition, int | None],
    behind: Mapping[TopicPartition, int],
    beginnings: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> Starts:
    """Return where to start: at the committed offset (None: nothing is), or where the rows are `behind` that.

    A log that ends before that has lost what it had, and has taken other records at those offsets since: which ones,
    nobody knows, so it is read from its beginning. `beginnings` and `ends` lack what could not be asked for.
    """
    offsets, expired, shortened = {}, [], []
    for place, offset in committed.items():
        start, first = behind.get(place, offset or 0), beginnings.get(place, 0)
        if start > ends.get(place, start):
            shortened.append(place)
            start = first
        is_known = offset is not None or place in behind
        if is_known and start < first:
            expired.append(Hole(place, start, first))
        offsets[place] = max(start, first)
    return Starts(offsets, tuple(expired), tuple(shortened))
