"""Guarantees 3 and 4: what a record says is in the order's row, or it waits, is not ours, or is a dead letter. Pure.

It asks the facts themselves, not the timeline: a row that lacks what a record brought has lost it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from payonce.catalog import place_in_log
from payonce.codec import Undecodable, decode
from payonce.dead_letters import is_replay_for_other
from payonce.domain.belonging import may_wait, names_only_a_payment
from payonce.domain.events import OrderStatusChanged, PspEvent
from payonce.domain.merge import merge
from payonce.domain.order import Contribution, ImpossibleEvent, contribution
from payonce.ports import Record
from payonce.verification.findings import Finding
from payonce.verification.letters import DeadLetters, place_of

_FOLD = "status_processor"
Fate = Literal["folded", "waiting", "foreign", "dead letter"]


@dataclass(frozen=True, slots=True)
class Told:
    """What one record says. `adds` is None if it cannot be read: then it must be a dead letter."""

    record: Record
    event_id: str
    adds: Contribution | None
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """What the tables say about a page of records, in one snapshot."""

    owners: Mapping[str, str]
    facts: Mapping[str, Mapping[str, Any]]
    waiting: Collection[str]
    foreign: Collection[str]


def told(records: Iterable[Record]) -> list[Told]:
    """Read the records that are for the fold."""
    return [_told(record) for record in records if not is_replay_for_other(record, _FOLD)]


def psp_ids(page: Sequence[Told]) -> set[str]:
    """Return every PSP id that the page names."""
    return {psp_id for each in page if each.adds for psp_id in each.adds.references}


def orders(page: Sequence[Told], owners: Mapping[str, str]) -> set[str]:
    """Return the orders that the page belongs to."""
    return {order_id for each in page if each.adds and (order_id := _order(each.adds, owners))}


def fates(
    page: Sequence[Told], stored: Stored, letters: DeadLetters
) -> tuple[Counter[Fate], list[tuple[Record, Finding]]]:
    """Return what became of the records, and those that are lost."""
    counts: Counter[Fate] = Counter()
    lost = []
    for each in page:
        fate = _fate(each, stored, letters)
        if isinstance(fate, Finding):
            lost.append((each.record, fate))
        else:
            counts[fate] += 1
    return counts, lost


def _told(record: Record) -> Told:
    try:
        message = decode(record)
        if isinstance(message, OrderStatusChanged):
            return Told(record, "", None)
        place = place_in_log(record.topic, record.offset)
        adds = contribution(message, position=(record.topic, record.partition, place))
    except (Undecodable, ImpossibleEvent):
        return Told(record, record.header("ce_id") or "", None)
    event_id = message.event_id if isinstance(message, PspEvent) else record.header("ce_id") or ""
    return Told(record, event_id, adds, may_wait(message, adds.references))


def _fate(each: Told, stored: Stored, letters: DeadLetters) -> Fate | Finding:
    adds = each.adds
    problem = "cannot be read"
    if adds is not None:
        order_id = _order(adds, stored.owners)
        if order_id is None:
            problem = "is not folded, does not wait and is no other app's"
            if not each.may_wait or any(psp_id in stored.foreign for psp_id in adds.references):
                return "foreign"
            if names_only_a_payment(adds.references) and each.event_id not in stored.waiting:
                return "foreign"  # given up after a day: an order of ours would be known by the payment's invoice
        elif (missing := _missing(adds, order_id, stored)) is None:
            return "folded"
        else:
            problem = missing
        if each.event_id in stored.waiting:
            return "waiting"
    if letters.of_fold(each.record):
        return "dead letter"
    return Finding(place_of(each.record), f"{each.event_id or 'the record'} {problem}, and is no dead letter")


def _missing(adds: Contribution, order_id: str, stored: Stored) -> str | None:
    """Return what of the contribution is not stored with the order, None if it is all there."""
    facts = stored.facts.get(order_id)
    if facts is None:
        return f"belongs to {order_id}, which has no row"
    if merge(facts, adds.facts) is not facts:
        return f"tells facts that {order_id} does not have"
    unknown = [psp_id for psp_id in adds.references if psp_id not in stored.owners]
    return f"names {unknown[0]}, which is not known as {order_id}'s" if unknown else None


def _order(adds: Contribution, owners: Mapping[str, str]) -> str | None:
    return adds.order_id or next((owners[each] for each in adds.references if each in owners), None)
