"""Guarantees 9 and 11: what payments.status tells never goes back, and its newest word is the row. Pure.

The relay repeats after a failure, so an announcement may come again; what may not come is a lower version that was
never told before, or another body under a version that was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson

from payonce.adapters.fold_store import PUBLIC_COLUMNS
from payonce.adapters.order_scan import ScannedOrder
from payonce.codec import Undecodable, decode, encode_body
from payonce.domain.events import OrderStatusChanged
from payonce.ports import Record
from payonce.verification.digests import digest
from payonce.verification.findings import Finding
from payonce.verification.letters import place_of

_FIELDS = frozenset(field.name for field in fields(OrderStatusChanged))
#: Messages from before the failure's reason was told do not say it, and are still the newest of their orders.
_PUBLIC = tuple(column for column in PUBLIC_COLUMNS if column != "failure_reason")


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest announcement of an order: its version, and the public columns as it tells them."""

    version: int
    columns: tuple[Any, ...]


class Announced:
    """What some whole partitions of payments.status tell."""

    def __init__(self) -> None:
        self.newest: dict[str, Newest] = {}
        #: (order, version) -> what was told under it
        self._bodies: dict[int, int] = {}

    def add(self, records: Iterable[Record]) -> Iterator[Finding]:
        """Take announcements in, ascending per partition; yield those that must not be there."""
        for record in records:
            try:
                told = decode(record)
            except Undecodable as error:
                yield Finding(place_of(record), f"is no announcement: {error}")
                continue
            if isinstance(told, OrderStatusChanged):
                body = encode_body(told)
                yield from _tells_more(record, body)
                yield from self._take(record, told, body)

    def _take(self, record: Record, told: OrderStatusChanged, canonical: bytes) -> Iterator[Finding]:
        key, body = digest(told.order_id, told.version), digest(canonical)
        if (known := self._bodies.get(key)) is not None:
            if known != body:
                yield Finding(place_of(record), f"version {told.version} of {told.order_id} was told otherwise before")
            return
        self._bodies[key] = body
        newest = self.newest.get(told.order_id)
        if newest is not None and told.version < newest.version:
            yield Finding(place_of(record), f"{told.order_id} goes back from {newest.version} to {told.version}")
            return
        self.newest[told.order_id] = Newest(told.version, _public(lambda name: getattr(told, name)))


def contradictions(
    newest: Mapping[str, Newest],
    rows: Mapping[str, ScannedOrder],
    pending: Collection[str],
    *,
    older_than_ms: int,
) -> Iterator[Finding]:
    """Yield the orders whose row, read after the announcements, is not what was told last or is about to be told."""
    for order_id, told in newest.items():
        row = rows.get(order_id)
        if row is None:
            yield Finding(order_id, f"version {told.version} was told, and there is no row")
        elif row.version < told.version:
            yield Finding(order_id, f"the row is at version {row.version}, {told.version} was told")
        elif row.version > told.version:
            if order_id not in pending and row.updated_at_ms < older_than_ms:
                yield Finding(order_id, f"the row is at version {row.version}, only {told.version} was ever told")
        elif (now := _public(row.columns.__getitem__)) != told.columns:
            wrong = [name for name, ours, theirs in zip(_PUBLIC, now, told.columns, strict=True) if ours != theirs]
            yield Finding(order_id, f"{', '.join(wrong)}: the row is not what version {told.version} told")


def _tells_more(record: Record, canonical: bytes) -> Iterator[Finding]:
    """Yield the fields that the public event does not have: readers pass over them, and a payment link might be one."""
    if canonical != record.value and (more := orjson.loads(record.value or b"").keys() - _FIELDS):
        yield Finding(place_of(record), f"tells more than it may: {', '.join(sorted(more))}")


def _public(read: Callable[[str], Any]) -> tuple[Any, ...]:
    return tuple(list(read(name)) if name == "flags" else read(name) for name in _PUBLIC)
