"""Batches over a fold on fakes, in a group and on a log that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from payonce.ports import Record, StoreUnavailable, TopicPartition
from services.status_processor.batches import Batches, Delivered
from services.status_processor.succession import Hole
from tests.fakes.clock import LoopClock
from tests.services.status_processor_bench import FoldOnFakes
from tests.services.status_processor_records import Life


@dataclass(slots=True)
class Group:
    """A Membership that the test moves."""

    generation: int = 1
    is_leaving: bool = False


@dataclass(slots=True)
class Shell:
    """Batches over a fold on fakes."""

    bench: FoldOnFakes = field(default_factory=FoldOnFakes)
    group: Group = field(default_factory=Group)
    batches: Batches = field(init=False)
    log_is_whole: bool = True
    asked: list[Hole] = field(default_factory=list)
    on_asked: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.batches = Batches(self.bench.fold, LoopClock(), self.group, self._holds_records)

    async def _holds_records(self, hole: Hole) -> bool:
        self.asked.append(hole)
        self.on_asked()
        return self.log_is_whole

    def delivered(self, *generations: int) -> list[Delivered]:
        """Return one registration per generation, in one partition."""
        records: list[Record] = self.bench.log.append([Life(1).register() for _ in generations])
        return [Delivered(record, generation) for record, generation in zip(records, generations, strict=True)]

    def delivered_from_the_beginning(self, number: int) -> list[Delivered]:
        """Return that many registrations of a partition that is handed over from offset 0 on."""
        batch = self.delivered(*[1] * number)
        self.batches.begin({batch[0].record.topic_partition: 0})
        return batch

    async def look(self, ends: Mapping[TopicPartition, int], times: int) -> None:
        """Do that chore so many times."""
        for _ in range(times):
            await self.batches.look(ends)

    def database_is_away(self) -> None:
        """Make every call of the store fail."""

        def away(call: str) -> None:
            raise StoreUnavailable(call)

        self.bench.store.fault = away
