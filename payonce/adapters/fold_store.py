"""The fold's tables in PostgreSQL, behind ports.FoldStore.

All SQL runs in one thread of its own, so the loop never waits for the database; one transaction is open at a time.
It decides nothing: what is written was decided by the caller under the rows' locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, CursorResult, TextClause

from payonce.adapters import fold_statements as sql
from payonce.adapters.advisory_locks import Lock, try_for_transaction
from payonce.adapters.event_months import make_months
from payonce.adapters.money_statements import save_money
from payonce.adapters.postgres import Database
from payonce.ports import (
    OrderChange,
    ParkedEvent,
    PositionMoved,
    Record,
    Reference,
    StoredOrder,
    StoreRejected,
    TimelineEntry,
    TopicPartition,
)

T = TypeVar("T")
#: PostgreSQL's limit of one NOTIFY; a longer list of orders becomes "*": look at whatever you wait for.
_NOTIFY_BYTES = 7_900
EVERY_ORDER = "*"
#: What an announcement shows, in the order of LOCK_ORDERS.
PUBLIC_COLUMNS = (
    "client_id",
    "reference",
    "payment_type",
    "payment_method",
    "psp",
    "payment_order_status",
    "attempt",
    "amount",
    "currency",
    "amount_paid",
    "amount_refunded",
    "amount_disputed",
    "failure_reason",
    "flags",
    "evidence_due_by",
    "current_period_end",
    "cancel_at_period_end",
    "next_payment_attempt",
)


class PostgresFoldStore:
    """Implements ports.FoldStore. Its transactions take turns: one waiting for another's lock would block the thread.

    `announces=False` writes rows only: no outbox, no waiter is woken (tables that nobody reads yet).
    """

    def __init__(self, database: Database, *, announces: bool = True) -> None:
        self._database = database
        self.announces = announces
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fold-store")
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresFoldTransaction]:
        async with self._one_at_a_time, self._opened() as transaction:
            yield transaction

    async def positions(self) -> Mapping[TopicPartition, int]:
        async with self.transaction() as transaction:
            rows = await transaction.rows(sql.POSITIONS, {})
        return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}

    async def make_months(self, *, ahead: int) -> Sequence[str]:
        """Make the timeline's partitions for this month and `ahead` more; return the new ones. Idempotent."""
        async with self.transaction() as transaction:
            return await transaction.run(lambda connection: make_months(connection, ahead=ahead))

    def close(self) -> None:
        """Wait for the running statement, then stop the thread and close the connections."""
        self._thread.shutdown(wait=True)
        self._database.dispose()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[PostgresFoldTransaction]:
        opened = self._database.transaction()
        connection = await self._call(opened.__enter__)
        try:
            yield PostgresFoldTransaction(connection, self)
        except BaseException as error:
            # Shielded: a cancelled caller must not leave the transaction open behind it.
            end = partial(opened.__exit__, type(error), error, error.__traceback__)
            await asyncio.shield(self._call(end))
            raise
        else:
            await asyncio.shield(self._call(partial(opened.__exit__, None, None, None)))

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class PostgresFoldTransaction:
    """Implements ports.FoldTransaction. Driver errors are translated when the transaction ends."""

    def __init__(self, connection: Connection, store: PostgresFoldStore) -> None:
        self._connection = connection
        self._call = store._call  # noqa: SLF001  (the store's own other half)
        self._announces = store.announces

    async def orders_of(self, references: Sequence[str]) -> Mapping[str, str]:
        if not references:
            return {}
        rows = await self.rows(sql.ORDERS_OF, {"psp_ids": sorted(references)})
        return {str(row[0]): str(row[1]) for row in rows}

    async def lock(self, order_ids: Sequence[str]) -> Mapping[str, StoredOrder]:
        if not order_ids:
            return {}
        rows = await self.rows(sql.LOCK_ORDERS, {"order_ids": sorted(order_ids)})
        return {
            order_id: StoredOrder(
                order_id, orjson.loads(facts), dict(zip(PUBLIC_COLUMNS, public, strict=True)), version, clock_ms
            )
            for order_id, facts, version, clock_ms, *public in rows
        }

    async def parked_for(self, references: Sequence[str]) -> Sequence[ParkedEvent]:
        if not references:
            return ()
        rows = await self.rows(sql.TAKE_PARKED, {"psp_ids": sorted(references)})
        return [_parked_event(row) for row in sorted(rows, key=lambda row: str(row[0]))]

    async def save(self, changes: Sequence[OrderChange], references: Mapping[str, Reference]) -> None:
        ordered = sorted(changes, key=lambda change: change.order_id)

        def write(connection: Connection) -> None:
            _save(connection, ordered, references)
            if self._announces and ordered:
                _announce(connection, ordered)

        await self.run(write)

    async def record(self, entries: Sequence[TimelineEntry]) -> None:
        if entries:
            await self.run(lambda connection: _execute(connection, sql.RECORD, _timeline_columns(entries)))

    async def park(self, events: Sequence[ParkedEvent]) -> None:
        rows = [_parked_row(event) for event in sorted(events, key=lambda event: event.event_id)]

        def insert(connection: Connection) -> None:
            for row in rows:
                _execute(connection, sql.PARK, row)

        if rows:
            await self.run(insert)

    async def resolvable(self, limit: int) -> Sequence[str]:
        locked = await self.run(lambda connection: try_for_transaction(connection, Lock.SWEEP))
        return [psp_id for (psp_id,) in await self.rows(sql.RESOLVABLE, {"limit": limit})] if locked else ()

    async def drop_foreign(self, limit: int) -> int:
        return len(await self.rows(sql.DROP_FOREIGN, {"limit": limit}))

    async def take_overdue(self, seconds: int, limit: int) -> Sequence[ParkedEvent]:
        rows = await self.rows(sql.TAKE_OVERDUE, {"seconds": seconds, "limit": limit})
        return [_parked_event(row) for row in sorted(rows, key=lambda row: str(row[0]))]

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, int | None]
    ) -> None:
        if not offsets:
            return
        ordered = sorted(offsets)
        parameters = {
            "topics": [each.topic for each in ordered],
            "partitions": [each.partition for each in ordered],
            "offsets": [offsets[each] for each in ordered],
            "expected": [expected[each] for each in ordered],
        }
        [[advanced]] = await self.rows(sql.ADVANCE, parameters)
        if advanced != len(ordered):
            raise PositionMoved(f"only {advanced} of {len(ordered)} positions are as this process left them")

    async def rows(self, statement: TextClause, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Run one statement in the store's thread and return its rows."""
        return await self.run(lambda connection: [tuple(row) for row in _execute(connection, statement, parameters)])

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on this transaction's connection in the store's thread."""
        return await self._call(lambda: work(self._connection))


def _execute(connection: Connection, statement: TextClause, parameters: Mapping[str, Any]) -> CursorResult[Any]:
    try:
        return connection.execute(statement, dict(parameters))
    except ValueError as error:  # the driver itself refuses NUL and half surrogates in text
        raise StoreRejected(f"not storable as text: {error}") from error


def _save(connection: Connection, changes: Sequence[OrderChange], references: Mapping[str, Reference]) -> None:
    if changes:
        _execute(connection, sql.SAVE_ORDERS, {"rows": _order_rows(changes)})
        save_money(connection, changes)
    if references:
        psp_ids = sorted(references)
        parameters = {
            "psp_ids": psp_ids,
            "order_ids": [references[each].order_id for each in psp_ids],
            "payments": [references[each].payment for each in psp_ids],
        }
        _execute(connection, sql.SAVE_REFERENCES, parameters)


def _announce(connection: Connection, changes: Sequence[OrderChange]) -> None:
    announced = [(change.order_id, change.announcement) for change in changes if change.announcement is not None]
    if announced:
        order_ids, bodies = zip(*announced, strict=True)
        _execute(connection, sql.ANNOUNCE, {"order_ids": list(order_ids), "bodies": list(bodies)})
    _execute(connection, sql.NOTIFY, {"payload": _notification([change.order_id for change in changes])})


def _order_rows(changes: Sequence[OrderChange]) -> str:
    rows = [
        {**change.columns, "order_id": change.order_id, "facts": change.facts, "version": change.version}
        for change in changes
    ]
    return orjson.dumps(rows).decode()


def _notification(order_ids: Sequence[str]) -> str:
    payload = "\n".join(order_ids)
    return payload if len(payload.encode()) <= _NOTIFY_BYTES else EVERY_ORDER


def _timeline_columns(entries: Sequence[TimelineEntry]) -> dict[str, list[Any]]:
    return {
        "event_id": [entry.event_id for entry in entries],
        "event_type": [entry.event_type for entry in entries],
        "occurred_at": [entry.occurred_at for entry in entries],
        "order_id": [entry.order_id for entry in entries],
        "topic": [entry.position[0] for entry in entries],
        "partition": [entry.position[1] for entry in entries],
        "offset": [entry.position[2] for entry in entries],
        "effect": [entry.effect for entry in entries],
        "reason": [entry.reason for entry in entries],
    }


def _parked_row(event: ParkedEvent) -> dict[str, Any]:
    record = event.record
    return {
        "event_id": event.event_id,
        "psp_ids": sorted(event.references),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "value": record.value,
        "header_names": [name for name, _ in record.headers],
        "header_values": [value for _, value in record.headers],
        "timestamp_ms": record.timestamp_ms,
    }


def _parked_event(row: Sequence[Any]) -> ParkedEvent:
    event_id, psp_ids, topic, partition, offset, key, value, names, values, timestamp_ms = row
    record = Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=None if key is None else bytes(key),
        value=None if value is None else bytes(value),
        headers=tuple((name, bytes(each)) for name, each in zip(names, values, strict=True)),
        timestamp_ms=timestamp_ms,
    )
    return ParkedEvent(event_id, tuple(psp_ids), record)
