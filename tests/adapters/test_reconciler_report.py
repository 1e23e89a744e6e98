"""What the drift report reads, from real PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from payonce.adapters.postgres import Database, DatabaseThread
from payonce.adapters.reconciler_report import PostgresReconcilerReport
from payonce.ports import StuckOrder
from tests.fakes.reconciler import LedgerRow
from tests.fakes.reconciler_tables import Real

NOW = 1_800_000_000


@pytest.mark.stack
async def test_the_report_pages_through_touched_orders_with_every_session_known(database_url: str) -> None:
    engine = create_engine(database_url)
    real = Real(engine, None, None)  # type: ignore[arg-type]
    past = NOW - 1_000 * 86_400
    for name, at in (("ord_a", past), ("ord_b", past), ("ord_c", past - 100)):
        real.order(name, "created", at, token=f"cs_{name}")
    real.attempt(LedgerRow("ord_a", "expired", past, past, "cs_earlier"))
    database = Database(database_url, application_name="report", pool_size=1)
    thread = DatabaseThread(database)
    report = PostgresReconcilerReport(thread)

    first = await report.touched(since=past, after="", limit=1)
    rest = await report.touched(since=past, after="ord_a", limit=10)
    stuck = await report.stuck({"created": 60}, limit=2)

    assert [(order.order_id, order.session_ids, order.facts) for order in first] == [
        ("ord_a", ("cs_earlier", "cs_ord_a"), {})
    ]
    assert [order.order_id for order in rest] == ["ord_b"]
    assert stuck[0] == StuckOrder("ord_c", "created", past - 100)
    assert len(stuck) == 2
    thread.close()
    database.dispose()
    engine.dispose()
