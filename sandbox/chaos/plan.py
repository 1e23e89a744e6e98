"""The plan of a run: which faults, when, to whom. The same seed, length and targets give the same plan.

Three brokers lose one at a time: two away is fewer than min.insync.replicas, which is an outage and no fault.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sandbox.chaos.faults import Fault, Kind

T = TypeVar("T")

#: The first faults find traffic that runs; the last leave traffic that can show it recovered.
_LEAD_SHARE, _TAIL_SHARE = 0.04, 0.06
#: What a silent link held back arrives in one burst, and the PSP counts arrivals: no sender can keep to a limit that
#: way. The PSP's silence is a face of its outage, which counts each call when it is made.
_NEVER_SILENT = frozenset({"stripe"})
_OUTAGE_SECONDS = 60.0
_OUTAGE_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Targets:
    """What there is to disturb. `small_disk` tells whether PostgreSQL has a disk that may be filled."""

    services: tuple[str, ...]
    brokers: tuple[str, ...]
    links: tuple[str, ...]
    small_disk: bool = True


@dataclass(frozen=True, slots=True)
class _Slots:
    """So many moments, evenly spread over the run, each a little early or late."""

    run_seconds: float
    draw: random.Random

    def take(self, every_seconds: float, at_least: int) -> Iterator[float]:
        count = max(at_least, int(self.run_seconds / every_seconds))
        first, last = self.run_seconds * _LEAD_SHARE, self.run_seconds * (1 - _TAIL_SHARE)
        width = (last - first) / count
        return (first + (number + self.draw.random() * 0.7) * width for number in range(count))


def make_plan(seed: int, run_seconds: float, targets: Targets) -> tuple[Fault, ...]:
    """Return the faults of a run in the order of their times."""
    # Each track draws from a source of its own, so that a change of one does not move the others.
    tracks = (_kills, _freezes, _brokers, _database, _network, _psp, _log)
    faults = itertools.chain.from_iterable(
        track(_Slots(run_seconds, random.Random(f"{seed} {track.__name__}")), targets) for track in tracks
    )
    return tuple(sorted(faults, key=lambda fault: (fault.at_seconds, fault.kind.value, fault.target)))


def _kills(slots: _Slots, targets: Targets) -> Iterator[Fault]:
    victims = _rounds(targets.services, slots.draw)
    for at, victim in zip(slots.take(9.0, len(targets.services)), victims, strict=False):
        yield Fault(at, Kind.KILL_SERVICE, victim)


def _freezes(slots: _Slots, targets: Targets) -> Iterator[Fault]:
    """Every other freeze outlasts the consumer's session of ten seconds: the group goes on without the frozen one."""
    victims = _rounds(targets.services, slots.draw)
    for number, (at, victim) in enumerate(zip(slots.take(24.0, 2), victims, strict=False)):
        seconds = slots.draw.uniform(11.0, 16.0) if number % 2 else slots.draw.uniform(1.0, 6.0)
        yield Fault(at, Kind.FREEZE_SERVICE, victim, seconds)


def _brokers(slots: _Slots, targets: Targets) -> Iterator[Fault]:
    """Two kills for each freeze; every broker is killed before one is killed twice."""
    doomed, chilled = _rounds(targets.brokers, slots.draw), _rounds(targets.brokers, slots.draw)
    for number, at in enumerate(slots.take(28.0, len(targets.brokers))):
        if number % 3 == 2 and number >= len(targets.brokers):  # noqa: PLR2004
            yield Fault(at, Kind.FREEZE_BROKER, next(chilled), slots.draw.uniform(2.0, 8.0))
        else:
            yield Fault(at, Kind.KILL_BROKER, next(doomed), slots.draw.uniform(1.0, 5.0))


def _database(slots: _Slots, targets: Targets) -> Iterator[Fault]:
    """Of five faults three restart it, one freezes it and one fills its disk."""
    kinds = [Kind.KILL_DATABASE, Kind.STOP_DATABASE, Kind.FREEZE_DATABASE, Kind.KILL_DATABASE]
    if targets.small_disk:
        kinds.insert(1, Kind.FILL_DISK)
    for at, kind in zip(slots.take(55.0, 2), itertools.cycle(kinds), strict=False):
        yield Fault(at, kind, "postgres", slots.draw.uniform(2.0, 8.0))


def _network(slots: _Slots, targets: Targets) -> Iterator[Fault]:
    kinds = _rounds((Kind.SLOW_LINK, Kind.CUT_LINK, Kind.SILENT_LINK), slots.draw)
    links = _rounds(targets.links, slots.draw)
    for at, kind, link in zip(slots.take(12.0, 3), kinds, links, strict=False):
        match kind:
            case Kind.SLOW_LINK:
                yield Fault(at, kind, link, slots.draw.uniform(4.0, 9.0))
            case Kind.SILENT_LINK if link not in _NEVER_SILENT:
                yield Fault(at, kind, link, slots.draw.uniform(2.0, 7.0))
            case _:
                yield Fault(at, Kind.CUT_LINK, link)


def _psp(slots: _Slots, _targets: Targets) -> Iterator[Fault]:
    """One long outage in the middle, smaller trouble around it."""
    outage = min(_OUTAGE_SECONDS, slots.run_seconds * _OUTAGE_SHARE)
    middle = slots.run_seconds * 0.5
    yield Fault(middle - outage / 2, Kind.PSP_OUTAGE, "stripe", outage)
    kinds = itertools.cycle((Kind.WEBHOOK_TRICKS, Kind.PSP_TRICKS, Kind.PSP_STORM))
    for at, kind in zip(slots.take(40.0, 3), kinds, strict=False):
        if not middle - outage / 2 - 10.0 < at < middle + outage / 2:
            yield Fault(at, kind, "stripe", min(10.0, slots.run_seconds * 0.08))


def _log(slots: _Slots, _targets: Targets) -> Iterator[Fault]:
    for share in (0.45, 0.8):
        yield Fault(slots.run_seconds * share, Kind.REPEAT_LOG, "all topics of ours")


def _rounds(things: Sequence[T], draw: random.Random) -> Iterator[T]:
    """Yield all of them in a drawn order, then all again in another: none is left out, none comes twice in a round."""
    while things:
        yield from draw.sample(things, len(things))


def as_text(faults: Iterable[Fault]) -> str:
    """Return a line per fault, for a reader who wants to know the plan beforehand."""
    return "\n".join(f"{fault.at_seconds:7.1f} s  {fault}" for fault in faults)
