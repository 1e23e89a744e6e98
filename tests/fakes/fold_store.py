"""The fold's tables in memory: one transaction at a time, nothing visible before its commit, faults on request."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from payonce.adapters.fold_store import PUBLIC_COLUMNS
from payonce.domain.invoices import Invoice
from payonce.domain.movements import Movement
from payonce.ports import (
    OrderChange,
    OutboxRow,
    ParkedEvent,
    PositionMoved,
    Reference,
    StoredOrder,
    StoreRejected,
    TimelineEntry,
    TopicPartition,
)


@dataclass(slots=True)
class Tables:
    """What is committed."""

    orders: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = field(default_factory=dict)
    timeline: dict[tuple[str, int], TimelineEntry] = field(default_factory=dict)
    references: dict[str, Reference] = field(default_factory=dict)
    parked: dict[str, ParkedEvent] = field(default_factory=dict)
    parked_at_ms: dict[str, int] = field(default_factory=dict)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    outbox: list[OutboxRow] = field(default_factory=list)
    movements: dict[str, tuple[Movement, ...]] = field(default_factory=dict)
    invoices: dict[str, tuple[Invoice, ...]] = field(default_factory=dict)
    last_outbox_id: int = 0


def _no_fault(_call: str) -> None:
    """Nothing goes wrong."""


@dataclass(slots=True)
class FakeFoldStore:
    """Implements ports.FoldStore. `fault(name)` runs before each port call, and may raise; `commit` is one of them."""

    clock_ms: Callable[[], int] = lambda: 1_800_000_000_000
    fault: Callable[[str], None] = _no_fault
    tables: Tables = field(default_factory=Tables)
    #: Facts that contain this text are refused, as a value too large for its column would be.
    unstorable: str = "\\u0000"
    notified: list[tuple[str, ...]] = field(default_factory=list)
    #: What the reconciler has found to be another app's.
    foreign: set[str] = field(default_factory=set)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[FakeFoldTransaction]:
        async with self._one_at_a_time:
            self.fault("begin")
            opened = FakeFoldTransaction(self, copy.deepcopy(self.tables))
            yield opened
            self.fault("commit")
            self.tables = opened.tables
            self.notified.extend(opened.notified)
            self.fault("committed")

    async def positions(self) -> Mapping[TopicPartition, int]:
        self.fault("positions")
        return dict(self.tables.positions)


class FakeFoldTransaction:
    """Implements ports.FoldTransaction on a copy of the tables."""

    def __init__(self, store: FakeFoldStore, tables: Tables) -> None:
        self._store = store
        self.tables = tables
        self.notified: list[tuple[str, ...]] = []

    async def orders_of(self, references: Sequence[str]) -> Mapping[str, str]:
        await self._call("orders_of")
        known = self.tables.references
        return {each: known[each].order_id for each in references if each in known}

    async def lock(self, order_ids: Sequence[str]) -> Mapping[str, StoredOrder]:
        await self._call("lock")
        locked = {}
        for order_id in sorted(order_ids):
            facts, columns, version = self.tables.orders.setdefault(order_id, ({}, {}, 0))
            public = {name: columns.get(name) for name in PUBLIC_COLUMNS}
            locked[order_id] = StoredOrder(order_id, copy.deepcopy(facts), public, version, self._store.clock_ms())
        return locked

    async def parked_for(self, references: Sequence[str]) -> Sequence[ParkedEvent]:
        await self._call("parked_for")
        found = [event for event in self.tables.parked.values() if set(event.references) & set(references)]
        for event in found:
            del self.tables.parked[event.event_id]
        return sorted(found, key=lambda event: event.event_id)

    async def save(self, changes: Sequence[OrderChange], references: Mapping[str, Reference]) -> None:
        await self._call("save")
        for change in sorted(changes, key=lambda each: each.order_id):
            stored = _as_stored({"facts": change.facts, "columns": change.columns}, self._store.unstorable)
            self.tables.orders[change.order_id] = (stored["facts"], stored["columns"], change.version)
            if change.movements is not None:
                self.tables.movements[change.order_id] = tuple(change.movements)
            if change.invoices is not None:
                self.tables.invoices[change.order_id] = tuple(change.invoices)
            if change.announcement is not None:
                self.tables.last_outbox_id += 1
                self.tables.outbox.append(OutboxRow(self.tables.last_outbox_id, change.order_id, change.announcement))
        for psp_id, reference in references.items():
            owner = self.tables.references.setdefault(psp_id, reference)
            if owner.payment is None and owner.order_id == reference.order_id:
                self.tables.references[psp_id] = reference
        if changes:
            self.notified.append(tuple(sorted(change.order_id for change in changes)))

    async def record(self, entries: Sequence[TimelineEntry]) -> None:
        await self._call("record")
        for entry in entries:
            self.tables.timeline.setdefault((entry.event_id, entry.occurred_at), entry)

    async def park(self, events: Sequence[ParkedEvent]) -> None:
        await self._call("park")
        for event in events:
            references = tuple(sorted(event.references))
            if event.event_id not in self.tables.parked:
                self.tables.parked_at_ms[event.event_id] = self._store.clock_ms()
            self.tables.parked[event.event_id] = ParkedEvent(event.event_id, references, event.record)

    async def resolvable(self, limit: int) -> Sequence[str]:
        await self._call("resolvable")
        named = {each for event in self.tables.parked.values() for each in event.references}
        return sorted(named & self.tables.references.keys())[:limit]

    async def drop_foreign(self, limit: int) -> int:
        await self._call("drop_foreign")
        foreign = [event for event in self._hopeless() if set(event.references) & self._store.foreign][:limit]
        for event in foreign:
            del self.tables.parked[event.event_id]
        return len(foreign)

    async def take_overdue(self, seconds: int, limit: int) -> Sequence[ParkedEvent]:
        await self._call("take_overdue")
        before = self._store.clock_ms() - seconds * 1000
        overdue = [event for event in self._hopeless() if self.tables.parked_at_ms[event.event_id] < before][:limit]
        for event in overdue:
            del self.tables.parked[event.event_id]
        return overdue

    def _hopeless(self) -> list[ParkedEvent]:
        waiting = sorted(self.tables.parked.values(), key=lambda event: event.event_id)
        return [event for event in waiting if not set(event.references) & self.tables.references.keys()]

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, int | None]
    ) -> None:
        await self._call("advance")
        for place, offset in offsets.items():
            if self.tables.positions.get(place) != expected[place]:
                raise PositionMoved(f"{place}: {self.tables.positions.get(place)}, not {expected[place]}")
            self.tables.positions[place] = offset

    async def _call(self, name: str) -> None:
        self._store.fault(name)
        await asyncio.sleep(0)


def _as_stored(row: dict[str, Any], unstorable: str) -> dict[str, Any]:
    """Return what jsonb and text columns would hold; like them, refuse some of it."""
    text = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    if unstorable.encode() in text:
        raise StoreRejected("22P05: unsupported Unicode escape sequence")
    stored: dict[str, Any] = orjson.loads(text)
    return stored
