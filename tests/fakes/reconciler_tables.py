"""The tables that a reconciler reads, fake or real, as a test fills and breaks them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from payonce.adapters.reconciler_store import PostgresReconcilerStore
from tests.fakes.reconciler import FakeReconcilerStore, LedgerRow, OrderState, ReconcilerTables


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
        disputes: Mapping[str, int] | None = None,
    ) -> None:
        """`at` is since when it is in that status (None: a row from before that was kept)."""
        told = {name: {"state": [1, rank, "any", 1]} for name, rank in (disputes or {}).items()}
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
            facts=json.dumps({"disputes": told} if told else {}),
        )

    def attempt(self, row: LedgerRow) -> None:
        self._do(
            """
            INSERT INTO psp_registration (order_id, attempt, body_hash, command_id, idempotency_key, api_version,
                request, first_try_at, last_try_at, expires_at, state, session_id, outcome_type, outcome_body)
            VALUES (:order_id, 1, 'h', 'c', 'k', 'v', '{}', :tried, :tried, :expires, :state, :session, 't', 'b')
            """,
            order_id=row.order_id,
            tried=row.last_try_at + 0.7,
            expires=row.expires_at,
            state=row.state,
            session=row.session_id,
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
