"""One transaction of the fold over an open FoldTransaction: the same steps for a batch and for events that waited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from payonce.ports import FoldTransaction, ParkedEvent, Record
from services.status_processor.merging import Addressed, Effect, address, merge_into
from services.status_processor.reading import Entry, Reading, Unfoldable


class Reader(Protocol):
    """How records are read, where those go that cannot be folded, and what was perhaps told before."""

    def read(self, record: Record) -> Reading:
        """Return what the record is. Pure."""
        ...

    def may_have_been_told(self, record: Record) -> bool:
        """Return whether the world may know what the record makes from rows that are lost."""
        ...

    async def bury(self, unfoldable: Sequence[Unfoldable]) -> None:
        """Return once their dead letters are durable. Raises PublishFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one transaction did."""

    effects: Counter[tuple[str, Effect]] = field(default_factory=Counter)
    announced: int = 0
    parked: Sequence[ParkedEvent] = ()
    foreign: int = 0
    released: int = 0
    #: Waiting events that could not be read any more; their dead letters are published.
    buried: Sequence[Unfoldable] = ()


async def fold_entries(
    transaction: FoldTransaction,
    entries: Sequence[Entry],
    *,
    reader: Reader,
    release: bool = True,
    awaited: Sequence[str] = (),
) -> Outcome:
    """Fold the entries, and the waiting events that their PSP ids (or the `awaited` ones) release.

    Nothing is committed here. `release=False` leaves waiting events where they are.
    """
    asked = {each for entry in entries if entry.order_id is None for each in entry.references}
    known = dict(await transaction.orders_of(sorted(asked.union(awaited))))
    addressed, unknown = address(entries, known)
    owners = {order_id for _, order_id in addressed} | {known[each] for each in awaited if each in known}
    stored = await transaction.lock(sorted(owners))
    ours = {psp_id: order_id for psp_id, order_id in known.items() if order_id in stored}
    released, homeless, buried = await _release(transaction, ours, reader) if release else ([], [], [])

    told = {order_id for entry, order_id in addressed if reader.may_have_been_told(entry.record)}
    merged = merge_into(stored, [*addressed, *released], tell_again=told)
    await transaction.save(merged.changes, merged.references)
    await transaction.record(merged.timeline)
    unknown += homeless
    parked = [_parked(each) for each in unknown if each.may_wait]
    await transaction.park(parked)
    return Outcome(
        effects=Counter((line.event_type, line.effect) for line in merged.timeline),
        announced=sum(change.announcement is not None for change in merged.changes),
        parked=parked,
        foreign=sum(not each.may_wait for each in unknown),
        released=len(released),
        buried=buried,
    )


def _parked(entry: Entry) -> ParkedEvent:
    return ParkedEvent(entry.event_id, tuple(entry.references), entry.record)


async def _release(
    transaction: FoldTransaction, known: dict[str, str], reader: Reader
) -> tuple[list[Addressed], list[Entry], list[Unfoldable]]:
    """Take the waiting events that name a known PSP id; the ids they name in turn release more (a charge's dispute).

    Only after a change of rules can one of them name other ids than it did when it was parked, or be unreadable.
    """
    released: list[Addressed] = []
    homeless: list[Entry] = []
    unfoldable: list[Unfoldable] = []
    tried: set[str] = set()
    while fresh := sorted(known.keys() - tried):
        tried.update(fresh)
        readings = [reader.read(event.record) for event in await transaction.parked_for(fresh)]
        addressed, unknown = address([each for each in readings if isinstance(each, Entry)], known)
        released.extend(addressed)
        homeless.extend(unknown)
        unfoldable.extend(each for each in readings if isinstance(each, Unfoldable))
    await reader.bury(unfoldable)  # before the transaction ends, which deletes their rows
    return released, homeless, unfoldable
