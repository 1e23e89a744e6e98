"""The entries of a batch, brought to their orders and merged in. Pure: rows in, changes out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from payonce.domain.order import merge
from payonce.ports import OrderChange, Reference, StoredOrder, TimelineEntry
from services.status_processor.announcing import change_of
from services.status_processor.reading import Entry

Addressed = tuple[Entry, str]
Effect = Literal["applied", "no_change", "ignored"]


@dataclass(frozen=True, slots=True)
class Merged:
    """What a batch makes of its orders."""

    changes: Sequence[OrderChange] = ()
    references: Mapping[str, Reference] = field(default_factory=dict)
    timeline: Sequence[TimelineEntry] = ()


def address(entries: Iterable[Entry], known: dict[str, str]) -> tuple[list[Addressed], list[Entry]]:
    """Return the entries with the order each belongs to, and those that nobody knows.

    `known` (PSP id -> order) grows by the ids of every entry that is addressed, so one entry of a batch may tell where
    another belongs, whichever comes first.
    """
    addressed: list[Addressed] = []
    waiting = list(entries)
    found = True
    while waiting and found:
        found, unknown = False, []
        for entry in waiting:
            order_id = entry.order_id or next((known[each] for each in entry.references if each in known), None)
            if order_id is None:
                unknown.append(entry)
                continue
            found = True
            addressed.append((entry, order_id))
            for reference in entry.references:
                known.setdefault(reference, order_id)
        waiting = unknown
    return addressed, waiting


def merge_into(
    stored: Mapping[str, StoredOrder], addressed: Sequence[Addressed], *, tell_again: Collection[str] = ()
) -> Merged:
    """Return the changes of the locked orders, what their PSP ids are, and each entry's line in the timeline.

    Orders to `tell_again` are announced, whether anything has changed or not.
    """
    facts: dict[str, Mapping[str, Any]] = {order_id: row.facts for order_id, row in stored.items()}
    timeline = []
    references: dict[str, Reference] = {}
    for entry, order_id in addressed:
        merged = merge(facts[order_id], entry.facts)
        timeline.append(_line(entry, order_id, _effect(entry, changed=merged is not facts[order_id])))
        facts[order_id] = merged
        for psp_id, payment in entry.references.items():
            if psp_id not in references or references[psp_id].payment is None:
                references[psp_id] = Reference(order_id, payment)
    changes = [
        change_of(row, facts[row.order_id], tell_again=row.order_id in tell_again)
        for row in stored.values()
        if facts[row.order_id] is not row.facts or row.order_id in tell_again
    ]
    return Merged(changes, references, timeline)


def _effect(entry: Entry, *, changed: bool) -> Effect:
    if changed:
        return "applied"
    return "no_change" if entry.facts else "ignored"


def _line(entry: Entry, order_id: str, effect: Effect) -> TimelineEntry:
    return TimelineEntry(
        event_id=entry.event_id,
        event_type=entry.event_type,
        occurred_at=entry.occurred_at,
        order_id=order_id,
        position=entry.position,
        effect=effect,
        reason=None if effect == "applied" else entry.reason,
    )
