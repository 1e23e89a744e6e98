"""Processes of other versions among ours, as in a rolling deploy: what an older one writes, what a newer one knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from payonce.catalog import example_files, topic_of
from payonce.ports import OutgoingRecord, Record
from services.status_processor.fold import Fold
from services.status_processor.reading import Entry, Reading
from tests.simulation.fold_tables import ORDERS

if TYPE_CHECKING:
    from tests.simulation.world import World

#: A fact that only a later version knows.
NOVELTY = "novelties"
#: What an earlier version did not write: absent means the same as null.
_LATER_FIELDS = frozenset({"amends", "recurring"})
#: What it holds is Stripe's, who knows no such session here.
_STRIPES_WORDS = frozenset({"PspSnapshot"})
_OUR_OWN = frozenset({topic_of("RegisterPayment"), topic_of("TokenIssued")})


def as_an_older_version(record: OutgoingRecord) -> OutgoingRecord:
    """Return a message of ours as it was written before the optional fields existed; whatever is copied stays."""
    if record.topic not in _OUR_OWN or record.value is None:
        return record
    return replace(record, value=orjson.dumps(_without_later_fields(orjson.loads(record.value))))


def examples_of_every_version() -> Iterator[OutgoingRecord]:
    """Yield what we ever wrote, as the contract keeps it: a dead letter may come back after many releases."""
    for (name, version), files in example_files().items():
        for file in files if topic_of(name) in _OUR_OWN and name not in _STRIPES_WORDS else ():
            body = file.read_bytes().strip()
            kind = f"payonce.{name}.v{version}".encode()
            yield OutgoingRecord(topic_of(name), orjson.loads(body)["order_id"].encode(), body, (("ce_type", kind),))


class NewerFold(Fold):
    """The next version of the fold: it finds a fact in every event of which ours knows nothing."""

    def read(self, record: Record) -> Reading:
        found = super().read(record)
        if isinstance(found, Entry):
            return replace(found, facts={**found.facts, NOVELTY: {found.event_id: 1}})
        return found


def watch_novelties(world: World) -> None:
    """Note every transaction that takes facts of the newer version away."""

    def look(writes: Mapping[tuple[str, Any], Any]) -> None:
        for (table, order_id), row in writes.items():
            before = world.database.tables.get(ORDERS, {}).get(order_id) if table == ORDERS else None
            if before is not None and not novelties(before[0]) <= novelties(row[0]):
                world.violations.append(f"{order_id}: a fact of a newer version is lost")

    world.database.watchers.append(look)


def novelties(facts: bytes) -> set[str]:
    """Return the events of which the newer version has noted its fact."""
    return set(orjson.loads(facts).get(NOVELTY, ()))


def _without_later_fields(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    is_later = {name for name, value in document.items() if name in _LATER_FIELDS and value is None}
    return {name: _without_later_fields(value) for name, value in document.items() if name not in is_later}
