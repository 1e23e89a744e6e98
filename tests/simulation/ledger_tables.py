"""psp_worker's ledger on the simulated PostgreSQL: ports.Ledger, statement by statement as the real one runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from payonce.adapters.ledger_continuity import Continuity
from payonce.ports import (
    HOLDING_STATES,
    Entered,
    PositionMoved,
    RefundEntry,
    RefundState,
    Registration,
    RegistrationState,
    TopicPartition,
)
from tests.simulation.database import Database, Statement, Transaction
from tests.simulation.scheduler import Incarnation

REGISTRATIONS, REFUNDS = "psp_registration", "psp_refund"
LEDGER_POSITIONS, WRITERS = "ledger_position", "ledger_writer"


class SimulatedLedger:
    """Implements ports.Ledger for one incarnation."""

    def __init__(self, database: Database, owner: Incarnation) -> None:
        self._database = database
        self._owner = owner
        self._continuity = Continuity()
        self._thread = asyncio.Lock()  # one transaction at a time

    async def enter(self, registration: Registration) -> Entered:
        order_id, attempt = registration.order_id, registration.attempt

        def insert(transaction: Transaction) -> Statement[bool]:
            rows = self._rows(transaction, order_id)  # the statement's snapshot
            holds = registration.state in HOLDING_STATES
            if attempt != max(rows, default=0) + 1 or (holds and _is_held(rows)):
                return False
            # The unique keys: whoever inserts the same waits for us, and finds the row when we have committed.
            yield (REGISTRATIONS, order_id, attempt)
            if holds:
                yield (REGISTRATIONS, order_id, "holder")
            rows = self._rows(transaction, order_id)
            if attempt in rows or (holds and _is_held(rows)):
                return False
            transaction.writes[REGISTRATIONS, (order_id, attempt)] = registration
            return True

        def read(transaction: Transaction) -> Statement[dict[int, Registration]]:
            return self._rows(transaction, order_id)
            yield

        new, rows = await self._in_transaction(insert, read)
        return Entered(rows=rows, new=new)

    async def settle(self, registration: Registration, *, expected: Sequence[RegistrationState]) -> Registration | None:
        key = (registration.order_id, registration.attempt)

        def lock_and_update(transaction: Transaction) -> Statement[None]:
            yield (REGISTRATIONS, *key)
            stored = self._database.get(transaction, REGISTRATIONS, key)
            if stored is None or stored.state not in expected:
                return
            if (stored.state in HOLDING_STATES) != (registration.state in HOLDING_STATES):
                yield (REGISTRATIONS, registration.order_id, "holder")
            transaction.writes[REGISTRATIONS, key] = settled(stored, registration)

        def read(transaction: Transaction) -> Statement[Registration | None]:
            row: Registration | None = self._database.get(transaction, REGISTRATIONS, key)
            return row
            yield

        _, row = await self._in_transaction(lock_and_update, read)
        stored: Registration | None = row
        return stored

    async def rows(self, order_id: str) -> Mapping[int, Registration]:
        def read(transaction: Transaction) -> Statement[dict[int, Registration]]:
            return self._rows(transaction, order_id)
            yield

        [found] = await self._in_transaction(read)
        rows: dict[int, Registration] = found
        return rows

    async def refund(self, order_id: str, refund_reference: str) -> RefundEntry | None:
        [row] = await self._in_transaction(self._refund_reader((order_id, refund_reference)))
        stored: RefundEntry | None = row
        return stored

    async def enter_refund(self, refund: RefundEntry) -> tuple[RefundEntry, bool]:
        key = (refund.order_id, refund.refund_reference)

        def insert(transaction: Transaction) -> Statement[bool]:
            yield (REFUNDS, *key)
            if self._database.get(transaction, REFUNDS, key) is not None:
                return False
            transaction.writes[REFUNDS, key] = refund
            return True

        new, row = await self._in_transaction(insert, self._refund_reader(key))
        return row, new

    async def settle_refund(self, refund: RefundEntry, *, expected: Sequence[RefundState]) -> RefundEntry | None:
        key = (refund.order_id, refund.refund_reference)

        def update(transaction: Transaction) -> Statement[None]:
            yield (REFUNDS, *key)
            stored = self._database.get(transaction, REFUNDS, key)
            if stored is not None and stored.state in expected:
                columns = ("state", "last_try_at", "refund_id", "outcome_type", "outcome_body", "proof")
                transaction.writes[REFUNDS, key] = replace(stored, **{each: getattr(refund, each) for each in columns})

        _, row = await self._in_transaction(update, self._refund_reader(key))
        stored: RefundEntry | None = row
        return stored

    async def positions(self) -> Mapping[TopicPartition, int]:
        def read(transaction: Transaction) -> Statement[dict[TopicPartition, int]]:
            return dict(self._database.rows(transaction, LEDGER_POSITIONS))
            yield

        [positions] = await self._in_transaction(read)
        found: dict[TopicPartition, int] = positions
        return found

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, Collection[int | None]]
    ) -> None:
        def move(transaction: Transaction) -> Statement[None]:
            for place in sorted(offsets):
                yield (LEDGER_POSITIONS, place)
                stored = self._database.get(transaction, LEDGER_POSITIONS, place)
                if stored not in (*expected[place], offsets[place]):
                    raise PositionMoved(f"{place}: {stored}, not {expected[place]}")
                transaction.writes[LEDGER_POSITIONS, place] = offsets[place]

        await self._in_transaction(move)

    def _refund_reader(self, key: tuple[str, str]) -> Callable[[Transaction], Statement[RefundEntry | None]]:
        def read(transaction: Transaction) -> Statement[RefundEntry | None]:
            row: RefundEntry | None = self._database.get(transaction, REFUNDS, key)
            return row
            yield

        return read

    def _rows(self, transaction: Transaction, order_id: str) -> dict[int, Registration]:
        rows = self._database.rows(transaction, REGISTRATIONS)
        return {attempt: row for (name, attempt), row in rows if name == order_id}

    async def _in_transaction(self, *statements: Callable[[Transaction], Statement[Any]]) -> list[Any]:
        async with self._thread:
            if not self._continuity.possible:
                writer = f"writer {self._database.next_id(WRITERS)}"
                await self._transact(_begins(writer))
                self._continuity.begun(writer)
            _, *results = await self._transact(self._moves, *statements)
            self._continuity.committed()
            return results

    async def _transact(self, *statements: Callable[[Transaction], Statement[Any]]) -> list[Any]:
        transaction = self._database.begin(self._owner)
        try:
            results = [await self._database.run(transaction, statement) for statement in statements]
        except BaseException:
            await self._database.rollback(transaction)
            raise
        await self._database.commit(transaction)
        return results

    def _moves(self, transaction: Transaction) -> Statement[None]:
        writer = self._continuity.writer
        yield (WRITERS, writer)
        beat = self._database.get(transaction, WRITERS, writer)
        is_remembered = beat in self._continuity.possible
        self._continuity.moved(beat + 1 if is_remembered else None)
        if is_remembered:
            transaction.writes[WRITERS, writer] = beat + 1


def _begins(writer: str) -> Callable[[Transaction], Statement[None]]:
    def insert(transaction: Transaction) -> Statement[None]:
        yield (WRITERS, writer)
        transaction.writes[WRITERS, writer] = 0

    return insert


def settled(stored: Registration, registration: Registration) -> Registration:
    """Return the row after the columns of a settlement have been written."""
    return replace(
        stored,
        state=registration.state,
        last_try_at=registration.last_try_at,
        session_id=registration.session_id,
        outcome_type=registration.outcome_type,
        outcome_body=registration.outcome_body,
        proof=registration.proof,
    )


def _is_held(rows: Mapping[int, Registration]) -> bool:
    return any(row.state in HOLDING_STATES for row in rows.values())
