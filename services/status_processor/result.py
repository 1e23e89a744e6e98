"""What a run of the fold did: counted while it goes, told to the caller and to the metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from payonce import telemetry
from services.status_processor.merging import Effect
from services.status_processor.reading import Unfoldable
from services.status_processor.transaction import Outcome

PROCESS = "status_processor"


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What became of the records of a batch, and of events that waited for them."""

    effects: Counter[tuple[str, Effect]]
    announced: int
    parked: int
    released: int
    foreign: int
    dead: Counter[tuple[str, str]]

    def count(self) -> None:
        """Add it to the process's metrics."""
        for (event_type, effect), number in self.effects.items():
            telemetry.fold_events_total.labels(event_type, effect).inc(number)
        for (topic, reason), number in self.dead.items():
            telemetry.dead_letters_total.labels(PROCESS, topic, reason).inc(number)
        telemetry.fold_foreign_events_total.inc(self.foreign)
        telemetry.fold_parked_events_total.inc(self.parked)
        telemetry.fold_released_events_total.inc(self.released)


@dataclass(slots=True)
class Tally:
    """The sums while a batch is folded, perhaps in parts."""

    effects: Counter[tuple[str, Effect]] = field(default_factory=Counter)
    announced: int = 0
    parked: int = 0
    released: int = 0
    foreign: int = 0
    #: PSP ids to look up once more, after the commit that parked their events.
    waiting: set[str] = field(default_factory=set)
    unfoldable: list[Unfoldable] = field(default_factory=list)
    #: Dead letters that are published already.
    buried: list[Unfoldable] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Add what a committed transaction did."""
        self.effects.update(outcome.effects)
        self.announced += outcome.announced
        self.parked += len(outcome.parked)
        self.released += outcome.released
        self.foreign += outcome.foreign
        self.waiting.update(reference for event in outcome.parked for reference in event.references)
        self.buried.extend(outcome.buried)

    def result(self) -> FoldResult:
        """Return the sums."""
        dead: Counter[tuple[str, str]] = Counter(
            (each.record.topic, each.reason) for each in [*self.unfoldable, *self.buried]
        )
        return FoldResult(self.effects, self.announced, self.parked, self.released, self.foreign, dead)
