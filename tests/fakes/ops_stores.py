"""The ops tables, in memory and in PostgreSQL, with what other processes write beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from sqlalchemy import text

from payonce.adapters.ops_store import PostgresOpsStore
from payonce.adapters.postgres import Database
from payonce.ports.ops import OpsTransaction
from payonce.ports.ops_reads import LedgerView, RefundView, TimelineLine
from tests.fakes.ops_store import MemoryOpsStore

T = TypeVar("T")
_OPS = "dead_letter, dead_letter_position, replay, replay_item, ops_action"
TABLES = f"{_OPS}, payment_event, psp_registration, psp_refund"


def chosen(request: pytest.FixtureRequest) -> Iterator[Fake | Real]:
    """Yield what a fixture's parameter names: "fake" or "real"."""
    if request.param == "fake":
        yield Fake()
        return
    real = Real(request.getfixturevalue("database_url"))
    yield real
    real.close()


class Fake:
    """The tables in memory."""

    def __init__(self) -> None:
        self.store = MemoryOpsStore()

    def run(self, work: Callable[[OpsTransaction], T]) -> T:
        return self.store.run_now(work)

    def add_line(self, order_id: str, line: TimelineLine) -> None:
        self.store.tables.lines.setdefault(order_id, []).append(line)

    def add_attempt(self, order_id: str, view: LedgerView) -> None:
        self.store.tables.ledger.setdefault(order_id, []).append(view)

    def add_refund(self, order_id: str, view: RefundView) -> None:
        self.store.tables.ledger.setdefault(order_id, []).append(view)


class Real:
    """The tables in PostgreSQL, emptied."""

    def __init__(self, url: str) -> None:
        self.store = PostgresOpsStore(url)
        self.database = Database(url, application_name="test")
        self.execute(f"TRUNCATE {TABLES} CASCADE")

    def run(self, work: Callable[[OpsTransaction], T]) -> T:
        return asyncio.run(self.store.run(work))

    def execute(self, statement: str, **parameters: object) -> None:
        with self.database.transaction() as connection:
            connection.execute(text(statement), parameters)

    def add_line(self, order_id: str, line: TimelineLine) -> None:
        self.execute(
            """
            INSERT INTO payment_event (event_id, occurred_at, order_id, event_type, topic, partition, "offset", effect)
            VALUES (:event_id, :at, :order_id, :type, :topic, :partition, :offset, :effect)
            """,
            event_id=line.event_id,
            at=line.occurred_at,
            order_id=order_id,
            type=line.event_type,
            topic=line.topic,
            partition=line.partition,
            offset=line.offset,
            effect=line.effect,
        )

    def add_attempt(self, order_id: str, view: LedgerView) -> None:
        self.execute(
            """
            INSERT INTO psp_registration (order_id, attempt, body_hash, command_id, idempotency_key, api_version,
                request, first_try_at, last_try_at, expires_at, state, outcome_type, outcome_body)
            VALUES (:order_id, :attempt, :hash, 'c', 'k', 'v', '{}', 0, 0, 0, :state, 'RegistrationStuck.v1', '')
            """,
            order_id=order_id,
            attempt=view.attempt,
            hash=view.body_hash,
            state=view.state,
        )

    def add_refund(self, order_id: str, view: RefundView) -> None:
        self.execute(
            """
            INSERT INTO psp_refund (order_id, refund_reference, command_id, idempotency_key, api_version, request,
                first_try_at, last_try_at, state)
            VALUES (:order_id, :reference, :command_id, 'k', 'v', '{}', 0, 0, :state)
            """,
            order_id=order_id,
            reference=view.refund_reference,
            command_id=view.command_id,
            state=view.state,
        )

    def close(self) -> None:
        self.store.close()
        self.database.dispose()
