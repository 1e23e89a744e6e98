"""What is remembered of other apps' objects stays as long as a record may name them, and no longer."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from payonce.adapters.postgres import Database
from payonce.adapters.reconciler_statements import FOREIGN_DAYS
from payonce.adapters.reconciler_store import PostgresReconcilerStore
from payonce.catalog import topics

pytestmark = pytest.mark.stack


async def test_the_old_ones_go_as_new_ones_come_and_what_is_seen_again_stays(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO foreign_reference (psp_id, seen_at)
            SELECT 'pi_' || days, now() - make_interval(days => days) FROM generate_series(98, 107) AS days
            """)
        )
    store = PostgresReconcilerStore(Database(database_url, application_name="reconciler", pool_size=1))
    await store.acquire()

    for psp_ids in (["pi_new", "ch_new"], ["pi_99"], ["pi_new", "pi_newer"]):
        await store.remember_foreign(psp_ids)

    with engine.connect() as connection:
        left = {row[0] for row in connection.execute(text("SELECT psp_id FROM foreign_reference"))}
    assert left == {"pi_98", "pi_99", "pi_new", "ch_new", "pi_newer"}
    store.close()
    engine.dispose()


def test_they_are_remembered_for_longer_than_the_webhooks_are_kept() -> None:
    assert topics()["payments.webhooks"].retention_ms / 86_400_000 < FOREIGN_DAYS
