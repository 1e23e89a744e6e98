"""The fold's tables on the simulated PostgreSQL: ports.FoldStore, statement by statement as the real one runs them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

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
from tests.simulation.database import Database, Statement, Transaction
from tests.simulation.scheduler import Incarnation

T = TypeVar("T")

ORDERS, REFERENCES, PARKED, TIMELINE = "payment_order", "psp_reference", "unresolved_event", "payment_event"
UPDATED_AT, STATUS_SINCE = "payment_order.updated_at", "payment_order.status_since"
PARKED_SINCE, FOREIGN = "unresolved_event.waiting_since", "foreign_reference"
MOVEMENTS, INVOICES = "payment_movement", "payment_invoice"
FOLD_POSITIONS, OUTBOX = "fold_position", "outbox"
_SWEEP_LOCK = ("advisory", "sweep")
#: What jsonb refuses, as a text that garbage may contain.
UNSTORABLE = b"\\u0000"
_NEW_ORDER: tuple[bytes, Mapping[str, Any], int] = (b"{}", dict.fromkeys(PUBLIC_COLUMNS), 0)


def money_key(row: Movement | Invoice) -> tuple[str, ...]:
    """Return what names a row of MOVEMENTS or INVOICES within its order."""
    return (row.psp_id, row.kind) if isinstance(row, Movement) else (row.invoice_id,)


class SimulatedFoldStore:
    """Implements ports.FoldStore for one incarnation."""

    def __init__(self, database: Database, owner: Incarnation) -> None:
        self._database = database
        self._owner = owner

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SimulatedFoldTransaction]:
        opened = self._database.begin(self._owner)
        try:
            yield SimulatedFoldTransaction(self._database, opened)
        except BaseException:
            await self._database.rollback(opened)
            raise
        await self._database.commit(opened)

    async def positions(self) -> Mapping[TopicPartition, int]:
        async with self.transaction() as transaction:
            return await transaction.all_positions()


class SimulatedFoldTransaction:
    """Implements ports.FoldTransaction."""

    def __init__(self, database: Database, transaction: Transaction) -> None:
        self._database = database
        self._transaction = transaction

    async def orders_of(self, references: Sequence[str]) -> Mapping[str, str]:
        if not references:
            return {}

        def read(transaction: Transaction) -> Statement[dict[str, str]]:
            found = {each: self._database.get(transaction, REFERENCES, each) for each in sorted(references)}
            return {each: row.order_id for each, row in found.items() if row is not None}
            yield

        return await self._run(read)

    async def lock(self, order_ids: Sequence[str]) -> Mapping[str, StoredOrder]:
        if not order_ids:
            return {}
        database = self._database

        def create_and_lock(transaction: Transaction) -> Statement[dict[str, StoredOrder]]:
            locked = {}
            for order_id in sorted(order_ids):
                yield (ORDERS, order_id)
                row = database.get(transaction, ORDERS, order_id)
                if row is None:
                    transaction.writes[ORDERS, order_id] = row = _NEW_ORDER
                facts, columns, version = row
                public = {name: columns[name] for name in PUBLIC_COLUMNS}
                locked[order_id] = StoredOrder(order_id, orjson.loads(facts), public, version, database.clock_ms())
            return locked

        return await self._run(create_and_lock)

    async def parked_for(self, references: Sequence[str]) -> Sequence[ParkedEvent]:
        if not references:
            return ()

        def take(transaction: Transaction) -> Statement[list[ParkedEvent]]:
            wanted = set(references)
            named = [k for k, event in self._database.rows(transaction, PARKED) if wanted & set(event.references)]
            taken = []
            for event_id in named:
                yield (PARKED, event_id)
                event = self._database.get(transaction, PARKED, event_id)
                if event is not None and wanted & set(event.references):
                    transaction.writes[PARKED, event_id] = None
                    taken.append(event)
            return taken

        return await self._run(take)

    async def save(self, changes: Sequence[OrderChange], references: Mapping[str, Reference]) -> None:
        ordered = sorted(changes, key=lambda each: each.order_id)
        await self._run(lambda transaction: self._save_orders(transaction, ordered))
        movements = {change.order_id: change.movements for change in ordered if change.movements is not None}
        if movements:
            await self._run(lambda transaction: self._save_money(transaction, MOVEMENTS, movements))
        invoices = {change.order_id: change.invoices for change in ordered if change.invoices is not None}
        if invoices:
            await self._run(lambda transaction: self._save_money(transaction, INVOICES, invoices))
        if references:
            await self._run(lambda transaction: self._save_references(transaction, references))
        if any(change.announcement is not None for change in changes):
            await self._run(lambda transaction: self._announce(transaction, ordered))

    def _save_orders(self, transaction: Transaction, changes: Sequence[OrderChange]) -> Statement[None]:
        for change in changes:
            yield (ORDERS, change.order_id)
            facts = orjson.dumps(change.facts, option=orjson.OPT_SORT_KEYS)
            if UNSTORABLE in facts:
                raise StoreRejected("22P05: unsupported Unicode escape sequence")
            before = self._database.get(transaction, ORDERS, change.order_id)
            if before is None or before[1]["payment_order_status"] != change.columns["payment_order_status"]:
                transaction.writes[STATUS_SINCE, change.order_id] = self._database.clock_ms()
            transaction.writes[ORDERS, change.order_id] = (facts, dict(change.columns), change.version)
            transaction.writes[UPDATED_AT, change.order_id] = self._database.clock_ms()

    def _save_money(
        self, transaction: Transaction, table: str, rows: Mapping[str, Sequence[Movement] | Sequence[Invoice]]
    ) -> Statement[None]:
        """Make these the rows of their orders: (order, its own key) -> row. Those that are no more among them go."""
        wanted = {(order_id, money_key(row)): row for order_id in rows for row in rows[order_id]}
        there = {key: row for key, row in self._database.rows(transaction, table) if key[0] in rows}
        for key in sorted(wanted.keys() | there.keys()):
            if wanted.get(key) != there.get(key):
                yield (table, key)
                transaction.writes[table, key] = wanted.get(key)

    def _save_references(self, transaction: Transaction, references: Mapping[str, Reference]) -> Statement[None]:
        for psp_id in sorted(references):
            yield (REFERENCES, psp_id)
            new, owner = references[psp_id], self._database.get(transaction, REFERENCES, psp_id)
            learns = owner is not None and owner.payment is None and owner.order_id == new.order_id
            if owner is None or (learns and new.payment is not None):
                transaction.writes[REFERENCES, psp_id] = new

    def _announce(self, transaction: Transaction, changes: Sequence[OrderChange]) -> Statement[None]:
        for change in changes:
            if change.announcement is not None:
                row = OutboxRow(self._database.next_id(OUTBOX), change.order_id, change.announcement)
                transaction.writes[OUTBOX, row.id] = row
        return
        yield

    async def record(self, entries: Sequence[TimelineEntry]) -> None:
        def insert(transaction: Transaction) -> Statement[None]:
            for entry in sorted(entries, key=lambda each: (each.event_id, each.occurred_at)):
                key = (entry.event_id, entry.occurred_at)
                yield (TIMELINE, key)
                if self._database.get(transaction, TIMELINE, key) is None:
                    transaction.writes[TIMELINE, key] = entry

        if entries:
            await self._run(insert)

    async def park(self, events: Sequence[ParkedEvent]) -> None:
        def insert(event: ParkedEvent) -> Callable[[Transaction], Statement[None]]:
            def statement(transaction: Transaction) -> Statement[None]:
                yield (PARKED, event.event_id)
                row = ParkedEvent(event.event_id, tuple(sorted(event.references)), event.record)
                if self._database.get(transaction, PARKED, event.event_id) is None:
                    transaction.writes[PARKED_SINCE, event.event_id] = self._database.clock_ms()
                transaction.writes[PARKED, event.event_id] = row

            return statement

        for event in sorted(events, key=lambda each: each.event_id):
            await self._run(insert(event))

    async def resolvable(self, limit: int) -> Sequence[str]:
        def look(transaction: Transaction) -> Statement[list[str]]:
            if not self._database.try_lock(transaction, _SWEEP_LOCK):
                return []
            named = {psp_id for _, event in self._database.rows(transaction, PARKED) for psp_id in event.references}
            known = [each for each in sorted(named) if self._database.get(transaction, REFERENCES, each) is not None]
            return known[:limit]
            yield

        return await self._run(look)

    async def drop_foreign(self, limit: int) -> int:
        def drop(transaction: Transaction) -> Statement[int]:
            foreign = [
                event
                for _, event in self._database.rows(transaction, PARKED)
                if self._is_hopeless(transaction, event)
                and any(self._database.get(transaction, FOREIGN, each) is not None for each in event.references)
            ]
            return sum([self._take_unlocked(transaction, event) for event in foreign[:limit]])
            yield

        return await self._run(drop)

    async def take_overdue(self, seconds: int, limit: int) -> Sequence[ParkedEvent]:
        oldest_ms = self._database.clock_ms() - seconds * 1000

        def take(transaction: Transaction) -> Statement[list[ParkedEvent]]:
            overdue = [
                event
                for event_id, event in self._database.rows(transaction, PARKED)
                if self._database.get(transaction, PARKED_SINCE, event_id) < oldest_ms
                and self._is_hopeless(transaction, event)
            ]
            return [event for event in overdue[:limit] if self._take_unlocked(transaction, event)]
            yield

        return await self._run(take)

    def _is_hopeless(self, transaction: Transaction, event: ParkedEvent) -> bool:
        return all(self._database.get(transaction, REFERENCES, each) is None for each in event.references)

    def _take_unlocked(self, transaction: Transaction, event: ParkedEvent) -> bool:
        """Delete a waiting event unless somebody else has its row (SKIP LOCKED)."""
        if not self._database.try_lock(transaction, (PARKED, event.event_id)):
            return False
        transaction.writes[PARKED, event.event_id] = None
        return True

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, int | None]
    ) -> None:
        def move(transaction: Transaction) -> Statement[None]:
            for place in sorted(offsets):
                yield (FOLD_POSITIONS, place)
                stored = self._database.get(transaction, FOLD_POSITIONS, place)
                if stored != expected[place]:
                    raise PositionMoved(f"{place}: {stored}, not {expected[place]}")
                transaction.writes[FOLD_POSITIONS, place] = offsets[place]

        if offsets:
            await self._run(move)

    async def all_positions(self) -> Mapping[TopicPartition, int]:
        """Return every stored next offset."""

        def read(transaction: Transaction) -> Statement[dict[TopicPartition, int]]:
            return dict(self._database.rows(transaction, FOLD_POSITIONS))
            yield

        return await self._run(read)

    async def _run(self, statement: Callable[[Transaction], Statement[T]]) -> T:
        return await self._database.run(self._transaction, statement)
