"""Whole orders, lists and timelines, on real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, create_engine, event, text

from payonce.adapters.order_archive import OrderArchive
from payonce.codec import encode_body
from payonce.domain.events import RefundAccepted, RefundRejected
from payonce.domain.order_columns import columns_of
from payonce.domain.terms import order_id_of
from payonce.domain.whole_order import AskedRefund, OrderFilter, TimelineLine, WholeOrder
from payonce.ports import StoreUnavailable
from tests.fakes.checkout_api import terms
from tests.fakes.order_messages import commanded, issued, refunded, session_paid
from tests.fakes.order_reads import FakeArchive, FakeOrders

pytestmark = pytest.mark.stack
NOWHERE = "postgresql+psycopg2://payonce@127.0.0.1:1/payonce"
ORDER_ID = order_id_of("shop", "A-1")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
async def archive(database_url: str, engine: Engine) -> AsyncIterator[OrderArchive]:
    with engine.connect() as connection:
        connection.execute(text("TRUNCATE payment_order, payment_event, psp_refund"))
    archive = OrderArchive(database_url)
    yield archive
    await archive.close()


def insert(engine: Engine, reference: str, *messages: object, client: str = "shop", age: int = 0) -> str:
    """Write an order as the fold does, `age` microseconds after the others."""
    posted = terms(client, reference=reference)
    folded = FakeArchive(FakeOrders())
    row = folded.fold(commanded(posted=posted), *messages)  # type: ignore[arg-type]
    whole = WholeOrder(row, folded.facts[row.order_id])
    columns = columns_of(whole.view)
    moment = LONG_AGO + timedelta(microseconds=age)
    values = {**columns, "order_id": row.order_id, "facts": json.dumps(whole.facts), "moment": moment}
    names = [name for name in columns if name != "page_expires_at"]
    sql = f"""
        INSERT INTO payment_order (order_id, facts, version, created_at, page_expires_at, {", ".join(names)})
        VALUES (:order_id, CAST(:facts AS jsonb), 7, :moment, to_timestamp(:page_expires_at),
                {", ".join(":" + name for name in names)})
    """  # noqa: S608  (names of columns)
    with engine.connect() as connection:
        connection.execute(text(sql), values)
    return row.order_id


def ask(engine: Engine, reference: str, state: str, *, tried: float, outcome: object = None, **known: object) -> None:
    """Write a refund as the worker does."""
    values: dict[str, object] = {"order_id": ORDER_ID, "refund_reference": reference, "command_id": f"cmd_{reference}"}
    values |= {"payment": None, "amount": 300, "refund_id": None, "state": state, "tried": tried}
    values |= {"outcome_type": None, "outcome_body": None}
    if outcome is not None:
        values |= {"outcome_type": f"{type(outcome).__name__}.v1", "outcome_body": encode_body(outcome)}  # type: ignore[arg-type]
    sql = """
        INSERT INTO psp_refund (order_id, refund_reference, command_id, payment, amount, payment_intent,
            idempotency_key, api_version, request, first_try_at, last_try_at, state, refund_id, outcome_type,
            outcome_body)
        VALUES (:order_id, :refund_reference, :command_id, :payment, :amount, 'pi_1', 'key', 'v', '{}', :tried, :tried,
            :state, :refund_id, :outcome_type, :outcome_body)
    """
    with engine.connect() as connection:
        connection.execute(text(sql), {**values, **known})


def tell(engine: Engine, event_id: str, occurred_at: int, *, order_id: str = ORDER_ID, effect: str = "applied") -> None:
    sql = """
        INSERT INTO payment_event (event_id, occurred_at, order_id, event_type, topic, partition, "offset", effect,
            reason, recorded_at)
        VALUES (:event_id, to_timestamp(:occurred_at), :order_id, 'refund.updated', 't', 0, 0, :effect,
            NULLIF(:effect, 'applied'), to_timestamp(1795000000.7))
    """
    values = {"event_id": event_id, "occurred_at": occurred_at, "order_id": order_id, "effect": effect}
    with engine.connect() as connection:
        connection.execute(text(sql), values)


async def test_a_whole_order_has_its_facts_and_the_refunds_that_were_asked_for(
    archive: OrderArchive, engine: Engine
) -> None:
    insert(engine, "A-1", issued(), session_paid(), refunded("re_1", "pending", 300))
    accepted = RefundAccepted(ORDER_ID, "cmd_R-1", "R-1", "re_1", "pi_1", 300, "eur", "pending")
    refused = RefundRejected(ORDER_ID, "cmd_R-2", "R-2", "amount_too_large", "it is more than is left")
    ask(engine, "R-2", "rejected", tried=20.5, outcome=refused)
    ask(engine, "R-1", "accepted", tried=10.5, outcome=accepted, amount=None, refund_id="re_1")
    ask(engine, "R-3", "calling", tried=30.5, payment="pi_1")

    whole = await archive.order(ORDER_ID)

    assert whole is not None
    assert whole.asked == (
        AskedRefund("R-1", "cmd_R-1", None, None, 10, refund_id="re_1", taken_amount=300),
        AskedRefund(
            "R-2",
            "cmd_R-2",
            None,
            300,
            20,
            failed=True,
            failure_reason="amount_too_large",
            failure_detail="it is more than is left",
        ),
        AskedRefund("R-3", "cmd_R-3", "pi_1", 300, 30),
    )
    assert (whole.row.status, whole.view.status) == ("partially_refunded", "partially_refunded")
    assert [(each.refund_reference, each.status) for each in whole.refunds()] == [
        ("R-1", "pending"),
        ("R-2", "failed"),
        ("R-3", "pending"),
    ]
    assert whole.refundable(whole.view.payments[0]) == 1050 - 300 - 300
    assert await archive.order(order_id_of("shop", "none")) is None


async def test_pages_go_on_where_the_one_before_ended_whatever_comes_in(archive: OrderArchive, engine: Engine) -> None:
    """Orders of the same microsecond come in the order of their ids; newer ones move nothing."""
    ids = [insert(engine, f"A-{number}", age=number // 3) for number in range(10)]
    seen: list[str] = []

    while page := await archive.page("shop", OrderFilter(), after=seen[-1] if seen else None, limit=4):
        seen += [whole.row.order_id for whole in page]
        insert(engine, f"new-{len(seen)}", age=1_000)

    assert sorted(seen) == sorted(ids)
    ages = [ids.index(order_id) // 3 for order_id in seen]
    assert ages == sorted(ages, reverse=True)


async def test_filters_narrow_a_page_together_and_others_orders_are_never_in_it(
    archive: OrderArchive, engine: Engine
) -> None:
    paid = insert(engine, "A-1", issued(), session_paid())
    insert(engine, "A-2", age=2_000_000)
    insert(engine, "B-1", client="other")
    began = int(LONG_AGO.timestamp())

    async def found(client: str = "shop", **wanted: object) -> list[str]:
        page = await archive.page(client, OrderFilter(**wanted), after=None, limit=10)  # type: ignore[arg-type]
        assert page is not None
        return [str(whole.row.reference) for whole in page]

    assert await found() == ["A-2", "A-1"]
    assert await found(status="paid") == ["A-1"]
    assert await found(order_id=paid) == ["A-1"]
    assert await found(order_id=paid, status="created") == []
    assert await found(created_from=began + 1) == ["A-2"]
    assert await found(created_until=began + 2) == ["A-1"]
    assert await found(created_from=began, created_until=began + 3, status="created") == ["A-2"]
    assert await found("other") == ["B-1"]
    assert await found("nobody") == []


async def test_an_order_of_somebody_else_is_no_cursor(archive: OrderArchive, engine: Engine) -> None:
    theirs = insert(engine, "B-1", client="other")

    assert await archive.page("shop", OrderFilter(), after=theirs, limit=10) is None
    assert await archive.page("other", OrderFilter(), after=theirs, limit=10) == []


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (OrderFilter(), "payment_order_by_client"),
        (OrderFilter(status="refunded"), "payment_order_by_client_status"),
        (OrderFilter(created_from=1, created_until=2_000_000_000), "payment_order_by_client"),
    ],
)
async def test_every_page_is_read_off_an_index_without_sorting(
    archive: OrderArchive, engine: Engine, wanted: OrderFilter, index: str
) -> None:
    with engine.connect() as connection:
        filler = """
            INSERT INTO payment_order (order_id, client_id, payment_order_status, created_at)
            SELECT 'ord_' || n, 'shop', 'paid', to_timestamp(n) FROM generate_series(1, 20000) AS n
        """
        connection.execute(text(filler))
        connection.execute(text("ANALYZE payment_order"))
    sent: list[tuple[str, object]] = []
    listened = archive._database._engine

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_more: object) -> None:
        sent.append((statement, parameters))

    event.listen(listened, "before_cursor_execute", note)
    await archive.page("shop", wanted, after="ord_10000", limit=20)

    statement, parameters = next(each for each in sent if "LIMIT" in each[0])
    with engine.connect() as connection:
        plan = "\n".join(line for (line,) in connection.exec_driver_sql("EXPLAIN " + statement, parameters))  # type: ignore[arg-type]
    assert f"using {index} " in plan, plan
    assert "Sort" not in plan


async def test_the_timeline_is_oldest_first_and_comes_in_pages(archive: OrderArchive, engine: Engine) -> None:
    for number in range(5):
        tell(engine, f"evt_{number}", 1_795_000_000 + number // 2, effect="ignored" if number == 3 else "applied")
    tell(engine, "evt_other", 1_795_000_000, order_id="ord_other")

    first = await archive.timeline(ORDER_ID, after=None, limit=3)
    rest = await archive.timeline(ORDER_ID, after="evt_2", limit=3)

    assert first is not None
    assert rest is not None
    assert [line.event_id for line in (*first, *rest)] == [f"evt_{number}" for number in range(5)]
    assert rest[0] == TimelineLine("evt_3", "refund.updated", 1_795_000_001, 1_795_000_000, "ignored", "ignored")
    assert await archive.timeline(ORDER_ID, after="evt_4", limit=3) == []
    assert await archive.timeline(ORDER_ID, after="evt_other", limit=3) is None
    assert await archive.timeline("ord_nobody", after=None, limit=3) == []


async def test_an_event_that_was_said_again_later_has_one_line_and_its_pages_come_to_an_end(
    archive: OrderArchive, engine: Engine
) -> None:
    """Whoever follows page by page must not get the same page for ever, nor miss what lies between the repetitions."""
    for number, at in enumerate((1, 3_600, 7_200, 14_400)):
        tell(engine, "evt_token", 1_795_000_000 + at)
        tell(engine, f"evt_{number}", 1_795_000_000 + at + 60)
    seen: list[str] = []

    while lines := await archive.timeline(ORDER_ID, after=seen[-1] if seen else None, limit=2):
        seen += [line.event_id for line in lines]
        assert len(seen) <= 5, seen

    assert seen == ["evt_token", "evt_0", "evt_1", "evt_2", "evt_3"]


async def test_without_postgresql_everything_says_so() -> None:
    archive = OrderArchive(NOWHERE)

    with pytest.raises(StoreUnavailable):
        await archive.order(ORDER_ID)
    with pytest.raises(StoreUnavailable):
        await archive.page("shop", OrderFilter(), after=None, limit=1)
    with pytest.raises(StoreUnavailable):
        await archive.timeline(ORDER_ID, after=None, limit=1)
    await archive.close()


async def test_a_locked_table_makes_lists_unavailable_not_endless(archive: OrderArchive, engine: Engine) -> None:
    with engine.connect() as connection, connection.execution_options(isolation_level="READ COMMITTED").begin():
        connection.execute(text("LOCK TABLE payment_order IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StoreUnavailable):
            await archive.page("shop", OrderFilter(), after=None, limit=1)
