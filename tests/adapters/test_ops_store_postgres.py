"""What only a real database shows of the ops tables: many writers at once, one that leads."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from payonce.adapters.ops_actions import read_chain
from payonce.adapters.ops_store import PostgresOpsStore
from payonce.adapters.postgres import Database
from payonce.audit import chained, check
from payonce.ports.ops import Action, OpsTransaction

pytestmark = pytest.mark.stack
NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def test_many_writers_at_once_make_one_chain(database_url: str) -> None:
    stores = [PostgresOpsStore(database_url) for _ in range(4)]
    database = Database(database_url, application_name="test")
    with database.transaction() as connection:
        connection.execute(text("TRUNCATE ops_action"))

    def act(tx: OpsTransaction) -> None:
        tx.append_action(chained(Action(NOW, "olga", "edit", "dl", "why"), tx.last_action()))

    await asyncio.gather(*(store.run(act) for store in stores for _ in range(10)))

    with database.transaction() as connection:
        entries, published = read_chain(connection)
    check(entries)
    assert (len(entries), published) == (40, 0)
    for store in stores:
        store.close()
    database.dispose()


async def test_one_process_leads_until_it_closes(database_url: str) -> None:
    first, second = PostgresOpsStore(database_url), PostgresOpsStore(database_url)

    assert [await first.lead(), await first.lead(), await second.lead()] == [True, True, False]
    await asyncio.to_thread(first.close)
    assert await second.lead()

    await asyncio.to_thread(second.close)
