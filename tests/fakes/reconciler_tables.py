"""The tables that a reconciler reads, fake or real, as a test fills and breaks them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from payonce.adapters.postgres import Database
from payonce.adapters.reconciler_store import PostgresReconcilerStore
from tests.fakes.reconciler import FakeReconcilerStore, LedgerRow, OrderState, ReconcilerTables
from tests.stacks import wait_until_gone

#: What the tables' clock shows, in unix seconds.
NOW = 1_800_000_000
TABLES = (
    "payment_order, payment_event, unresolved_event, psp_registration, reconcile_watermark, foreign_reference, "
    "psp_reference"
)
#: What a contract's `world` is parametrized with.
WORLDS = ("fake", pytest.param("postgres", marks=pytest.mark.stack))


@dataclass(slots=True)
class Fake:
    """The fake's tables and two stores on them."""

    tables: ReconcilerTables
    first: FakeReconcilerStore
    second: FakeReconcilerStore

    def order(
        self, name: str, status: str, at: int, token: str | None = None, expires: int | None = None, **told: Any
    ) -> None:
        self.tables.orders[name] = OrderState(status, at, token, expires, **told)

    def attempt(self, row: LedgerRow) -> None:
        self.tables.ledger.append(row)

    def waits(self, name: str, references: tuple[str, ...], since: int) -> None:
        self.tables.waiting[name] = (references, since)

    def folded(self, name: str, created: int) -> None:
        self.tables.timeline.add((name, created))

    def foreign(self) -> set[str]:
        return self.tables.foreign

    def break_connections(self) -> None:
        self.tables.holder = None


@dataclass(slots=True)
class Real:
    """PostgreSQL's tables and two stores on them."""

    engine: Engine
    first: PostgresReconcilerStore
    second: PostgresReconcilerStore

    def order(
        self,
        name: str,
        status: str,
        at: float | None,
        token: str | None = None,
        expires: int | None = None,
        *,
        updated_at: float | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """`at` is since when it is in that status (None: a row from before that was kept)."""
        self._do(
            """
            INSERT INTO payment_order (order_id, payment_order_status, status_since, updated_at, psp_token,
                page_expires_at, facts)
            VALUES (:name, :status, to_timestamp(:at), to_timestamp(:updated_at), :token, to_timestamp(:expires),
                CAST(:facts AS jsonb))
            """,
            name=name,
            status=status,
            at=at,
            updated_at=at if updated_at is None else updated_at,
            token=token,
            expires=expires,
            facts=json.dumps(facts or {}),
        )

    def attempt(self, row: LedgerRow) -> None:
        self._do(
            """
            INSERT INTO psp_registration (order_id, attempt, body_hash, command_id, idempotency_key, api_version,
                request, first_try_at, last_try_at, expires_at, state, session_id, outcome_type, outcome_body, proof)
            VALUES (:order_id, 1, 'h', 'c', 'k', 'v', '{}', :tried, :tried, :expires, :state, :session, 't', 'b',
                :proof)
            """,
            order_id=row.order_id,
            tried=row.last_try_at + 0.7,
            expires=row.expires_at,
            state=row.state,
            session=row.session_id,
            proof=row.proof,
        )

    def waits(self, name: str, references: tuple[str, ...], since: int) -> None:
        self._do(
            """
            INSERT INTO unresolved_event (event_id, psp_ids, topic, partition, "offset", header_names, header_values,
                timestamp_ms, waiting_since)
            VALUES (:name, :ids, 't', 0, 0, '{}', '{}', 0, to_timestamp(:since))
            """,
            name=name,
            ids=list(references),
            since=since,
        )

    def folded(self, name: str, created: int) -> None:
        self._do(
            """
            INSERT INTO payment_event (event_id, occurred_at, order_id, event_type, topic, partition, "offset", effect)
            VALUES (:name, to_timestamp(:created), 'ord', 't', 't', 0, 0, 'applied')
            """,
            name=name,
            created=created,
        )

    def foreign(self) -> set[str]:
        with self.engine.connect() as connection:
            return {row[0] for row in connection.execute(text("SELECT psp_id FROM foreign_reference"))}

    def break_connections(self) -> None:
        self._do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'reconciler%'")

    def _do(self, statement: str, **parameters: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), parameters)


World = Fake | Real


def empty_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Yield empty tables of the kind that is asked for, and two stores, of which none has the lock."""
    if request.param == "fake":
        tables = ReconcilerTables(now=lambda: NOW)
        yield Fake(tables, FakeReconcilerStore(tables), FakeReconcilerStore(tables))
        return
    url: Any = request.getfixturevalue("database_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES}"))
    stores = [PostgresReconcilerStore(Database(url, application_name=f"reconciler {n}", pool_size=1)) for n in range(2)]
    yield Real(engine, *stores)
    for store in stores:
        store.close()
    wait_until_gone(engine, "reconciler%")
    engine.dispose()
