"""What a verification reads from, and the moment from which on it holds nothing against anyone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from payonce.adapters.postgres import Database
from payonce.ports import Record, TopicPartition

BATCH_RECORDS = 1_000
Bounds = Mapping[TopicPartition, tuple[int, int]]


class Log(Protocol):
    """Whole topics, as payonce.adapters.kafka.reader reads them."""

    def bounds(self, topics: Sequence[str]) -> Bounds:
        """Return first kept and next offset of every partition."""
        ...

    def read(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], *, batch_records: int
    ) -> Iterator[list[Record]]:
        """Yield the records from `starts` up to `ends`, ascending per partition."""
        ...


@dataclass(slots=True)
class Source:
    """Log and tables. What is not older than `older_than_ms` may be on its way; `bounds` is how far a topic is read."""

    log: Log
    database: Database
    older_than_ms: int
    bounds: dict[TopicPartition, tuple[int, int]] = field(default_factory=dict)

    def read(self, topic: str) -> Iterator[list[Record]]:
        """Yield what is there of a topic, and note how far that is."""
        bounds = self.log.bounds([topic])
        self.bounds |= bounds
        yield from self._between({place: low for place, (low, _) in bounds.items()}, bounds)

    def read_on(self, topic: str) -> Iterator[list[Record]]:
        """Yield what has come to a topic since it was read."""
        starts = {place: end for place, (_, end) in self.bounds.items() if place.topic == topic}
        bounds = self.log.bounds([topic])
        self.bounds |= bounds
        yield from self._between(starts, bounds)

    def _between(self, starts: Mapping[TopicPartition, int], bounds: Bounds) -> Iterator[list[Record]]:
        ends = {place: end for place, (_, end) in bounds.items()}
        return self.log.read(starts, ends, batch_records=BATCH_RECORDS)
