"""The log folded once more, from its beginning, by the real fold. Nothing is published: not even dead letters."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from payonce.ports import Clock, FoldStore, OutgoingRecord, Record, TopicPartition
from services.status_processor.fold import Fold

#: Larger than the worker's: nobody waits for the rows, so a commit may serve more records.
BATCH_RECORDS = 2_000


class LogSource(Protocol):
    """Where the records are read from: payonce.adapters.kafka.reader."""

    def read(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], *, batch_records: int
    ) -> Iterator[list[Record]]:
        """Yield the records from `starts` up to `ends`, ascending per partition."""
        ...


class CountedLetters:
    """A LogProducer that only counts: what is dead was published when it was read for the first time."""

    def __init__(self) -> None:
        self.by_topic: Counter[str] = Counter()

    async def publish(self, record: OutgoingRecord) -> None:
        self.by_topic[record.topic] += 1


class Refolding:
    """Folds into a store of its own, as far as it is told. `letters` counts what was set aside."""

    def __init__(
        self,
        store: FoldStore,
        log: LogSource,
        clock: Clock,
        *,
        group: str,
        livemode: bool,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.letters = CountedLetters()
        self.records = 0
        self._log = log
        self._fold = Fold(store, self.letters, clock, group=group, livemode=livemode)
        self._reached: dict[TopicPartition, int] = {}
        self._on_progress = on_progress

    async def advance(self, ends: Mapping[TopicPartition, int]) -> None:
        """Fold every record below `ends` that is not folded yet. Raises what the fold and the log raise."""
        batches = self._log.read(self._reached, ends, batch_records=BATCH_RECORDS)
        while batch := await asyncio.to_thread(_next, batches):
            await self._fold.run_once(batch)
            self.records += len(batch)
            self._on_progress(self.records)
        self._reached |= {place: max(end, self._reached.get(place, 0)) for place, end in ends.items()}


def _next(batches: Iterator[list[Record]]) -> Sequence[Record]:
    return next(batches, ())
