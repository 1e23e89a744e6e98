"""The Ledger port on PostgreSQL. Concurrent calls share transactions, in the one database thread."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection

from payonce.adapters.batching import Batcher
from payonce.adapters.ledger_continuity import LedgerThread
from payonce.adapters.ledger_refunds import enter_refund, refund_of, settle_refund
from payonce.adapters.ledger_sql import (
    ENTER,
    ENTER_POSITION,
    LOCK,
    MOVE_POSITION,
    POSITIONS,
    ROWS_OF_ORDERS,
    SETTLE,
)
from payonce.ports import (
    Entered,
    PositionMoved,
    RefundEntry,
    RefundState,
    Registration,
    RegistrationState,
    TopicPartition,
)

#: Rows in one transaction: enough to share its cost, few enough to stay far below the statement timeout.
_BATCH = 64
_COLUMNS = tuple(column.name for column in fields(Registration))
_Settlement = tuple[Registration, tuple[RegistrationState, ...]]


class PostgresLedger:
    """Implements ports.Ledger. Belongs to one event loop. After a restore every call raises PositionMoved."""

    def __init__(self, thread: LedgerThread) -> None:
        self._thread = thread
        self._entries: Batcher[Registration, Entered] = Batcher(self._enter_all, limit=_BATCH)
        self._settlements: Batcher[_Settlement, Registration | None] = Batcher(self._settle_all, limit=_BATCH)

    async def rows(self, order_id: str) -> Mapping[int, Registration]:
        return await self._thread.run(lambda connection: _rows(connection, [order_id])[order_id])

    async def enter(self, registration: Registration) -> Entered:
        return await self._entries.submit(registration)

    async def settle(self, registration: Registration, *, expected: Sequence[RegistrationState]) -> Registration | None:
        return await self._settlements.submit((registration, tuple(expected)))

    async def refund(self, order_id: str, refund_reference: str) -> RefundEntry | None:
        return await self._thread.run(lambda connection: refund_of(connection, order_id, refund_reference))

    async def enter_refund(self, refund: RefundEntry) -> tuple[RefundEntry, bool]:
        return await self._thread.run(lambda connection: enter_refund(connection, refund))

    async def settle_refund(self, refund: RefundEntry, *, expected: Sequence[RefundState]) -> RefundEntry | None:
        return await self._thread.run(lambda connection: settle_refund(connection, refund, expected))

    async def positions(self) -> Mapping[TopicPartition, int]:
        return await self._thread.run(_positions)

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, Collection[int | None]]
    ) -> None:
        await self._thread.run(lambda connection: _advance(connection, offsets, expected))

    async def _enter_all(self, registrations: Sequence[Registration]) -> Sequence[Entered]:
        return await self._thread.run(lambda connection: _enter(connection, registrations))

    async def _settle_all(self, settlements: Sequence[_Settlement]) -> Sequence[Registration | None]:
        return await self._thread.run(lambda connection: _settle(connection, settlements))


def _enter(connection: Connection, registrations: Sequence[Registration]) -> Sequence[Entered]:
    arrays = {name: [_stored(registration, name) for registration in registrations] for name in _COLUMNS}
    new = {(row.order_id, row.attempt) for row in connection.execute(ENTER, arrays)}
    rows = _rows(connection, (registration.order_id for registration in registrations))
    entered = []
    for registration in registrations:
        name = (registration.order_id, registration.attempt)
        entered.append(Entered(rows=rows[registration.order_id], new=name in new))
        new.discard(name)  # of two that asked for the same in one batch, one has entered it
    return entered


def _settle(connection: Connection, settlements: Sequence[_Settlement]) -> Sequence[Registration | None]:
    registrations = [registration for registration, _ in settlements]
    columns = ("order_id", "attempt", "state", "last_try_at", "session_id", "outcome_type", "outcome_body", "proof")
    arrays: dict[str, list[Any]] = {name: [_stored(row, name) for row in registrations] for name in columns}
    arrays["expected"] = [",".join(expected) for _, expected in settlements]
    connection.execute(LOCK, {"order_id": arrays["order_id"], "attempt": arrays["attempt"]})
    connection.execute(SETTLE, arrays)
    rows = _rows(connection, (registration.order_id for registration in registrations))
    return [rows[registration.order_id].get(registration.attempt) for registration in registrations]


def _rows(connection: Connection, orders: Iterable[str]) -> Mapping[str, dict[int, Registration]]:
    order_ids = sorted(set(orders))
    rows: defaultdict[str, dict[int, Registration]] = defaultdict(dict)
    for row in connection.execute(ROWS_OF_ORDERS, {"order_ids": order_ids}).mappings():
        rows[row["order_id"]][row["attempt"]] = _registration(dict(row))
    return rows


def _positions(connection: Connection) -> Mapping[TopicPartition, int]:
    rows = connection.execute(POSITIONS)
    return {TopicPartition(row.topic, row.partition): row.next_offset for row in rows}


def _advance(
    connection: Connection,
    offsets: Mapping[TopicPartition, int],
    expected: Mapping[TopicPartition, Collection[int | None]],
) -> None:
    for name, next_offset in sorted(offsets.items()):
        possible = {*expected[name], next_offset}
        values: dict[str, Any] = {
            "topic": name.topic,
            "partition": name.partition,
            "next_offset": next_offset,
            "possible": sorted(offset for offset in possible if offset is not None),
        }
        result = connection.execute(ENTER_POSITION if None in possible else MOVE_POSITION, values)
        if result.rowcount != 1:
            raise PositionMoved(f"{name.topic}/{name.partition}: at none of {expected[name]} any more")


def _stored(registration: Registration, column: str) -> Any:
    value = getattr(registration, column)
    return json.dumps(value) if column == "request" else value


def _registration(row: Mapping[str, Any]) -> Registration:
    values = {name: row[name] for name in _COLUMNS}
    body = values["outcome_body"]
    return Registration(**{**values, "outcome_body": None if body is None else bytes(body)})
