"""What only the real tables can show: locks, waiters, months, and the columns as their readers see them."""

from __future__ import annotations

import asyncio
import random
import select
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import psycopg2
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from payonce.adapters.event_months import months
from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.postgres import Database
from payonce.ports import Reference, StoreUnavailable, TimelineEntry
from services.status_processor.fold import Fold
from tests.fakes.fold_rows import COLUMNS, FIRST, TABLES, change, parked, save
from tests.fakes.log import MemoryLog
from tests.fakes.virtual_clock import VirtualClock
from tests.services.status_processor_bench import FoldOnFakes
from tests.services.status_processor_records import Life, Log, foreign_session, garbage

pytestmark = pytest.mark.stack


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The emptied tables."""
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES}"))
    yield engine
    engine.dispose()


@pytest.fixture
def stores(database_url: str, engine: Engine) -> Iterator[list[PostgresFoldStore]]:
    """Two processes' stores."""
    both = [PostgresFoldStore(Database(database_url, application_name=f"fold {n}")) for n in range(2)]
    yield both
    for each in both:
        each.close()


def new_fold(store: PostgresFoldStore, letters: MemoryLog | None = None) -> Fold:
    return Fold(store, letters or MemoryLog(), VirtualClock(), group="status_processor", livemode=False)


async def test_the_public_columns_are_as_their_readers_expect(stores: list[PostgresFoldStore], engine: Engine) -> None:
    await save(stores[0], change(version=3))

    with engine.connect() as connection:
        row = dict(connection.execute(text("SELECT * FROM payment_order")).mappings().one())
    assert row["page_expires_at"] == datetime.fromtimestamp(1_800_000_000, UTC)
    times = {name: int(value.timestamp()) for name, value in row.items() if isinstance(value, datetime)}
    assert {name: times.get(name, row[name]) for name in COLUMNS} == COLUMNS
    assert row["updated_at"].tzinfo is not None


async def test_a_status_keeps_its_age_while_facts_change_and_begins_anew_with_another(
    stores: list[PostgresFoldStore], engine: Engine
) -> None:
    """A dispute is asked after every day, and each answer is a change of facts: still it grows old."""

    def since(statement: str = "SELECT status_since FROM payment_order") -> datetime:
        with engine.begin() as connection:
            return connection.execute(text(statement)).scalar_one()  # type: ignore[no-any-return]

    await save(stores[0], change(facts={"a": 1}))
    long_ago = since("UPDATE payment_order SET status_since = now() - interval '9 days' RETURNING status_since")

    await save(stores[0], change(facts={"a": 2}))
    assert since() == long_ago
    assert since("SELECT updated_at FROM payment_order") > long_ago

    before = since("UPDATE payment_order SET status_since = NULL RETURNING updated_at")
    await save(stores[0], change(facts={"a": 3}))
    assert since() == before

    other = change(facts={"a": 4})
    await save(stores[0], replace(other, columns={**other.columns, "payment_order_status": "disputed"}))
    assert since() == since("SELECT updated_at FROM payment_order") > before


async def test_two_workers_fold_the_same_orders_at_once_without_deadlock(stores: list[PostgresFoldStore]) -> None:
    """Commands of all orders in one worker, tokens and webhooks in the other, in opposite orders: the same rows."""
    lives = [Life(n) for n in range(60)]
    commands = [life.register() for life in lives]
    others = [record for life in reversed(lives) for record in life.whole()[1:]]
    random.Random(7).shuffle(others)  # noqa: S311  (a seed of a test)
    log = Log()

    async def work(store: PostgresFoldStore, records: list, size: int) -> None:  # type: ignore[type-arg]
        fold = new_fold(store)
        placed = log.append(records)
        for start in range(0, len(placed), size):
            await fold.run_once(placed[start : start + size])

    await asyncio.gather(work(stores[0], commands, 10), work(stores[1], others, 40))
    await new_fold(stores[0]).sweep()

    expected = FoldOnFakes()
    await expected.run(*commands, *others)
    assert await _rows(stores[0]) == expected.rows()
    assert await _count(stores[0], "unresolved_event") == 0


async def test_the_same_story_gives_the_same_rows_as_on_the_fake(stores: list[PostgresFoldStore]) -> None:
    story = [record for n in range(5) for record in Life(n).whole()]
    batch = [*story, foreign_session(), garbage("payments.tokens"), Life(9).register("NUL \x00")]
    random.Random(3).shuffle(batch)  # noqa: S311  (a seed of a test)
    fake, letters = FoldOnFakes(), MemoryLog()

    await fake.run(*batch)
    result = await new_fold(stores[0], letters).run_once(Log().append(batch))

    assert await _rows(stores[0]) == fake.rows()
    assert sorted(letter.topic for letter in letters.published) == sorted(topic for topic, _ in fake.dead())
    assert result.dead.total() == 2
    assert await stores[0].positions() == fake.store.tables.positions
    assert await _count(stores[0], "payment_event") == len(fake.store.tables.timeline)


async def test_waiters_are_notified_once_per_transaction(stores: list[PostgresFoldStore], database_url: str) -> None:
    dsn = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    listener = psycopg2.connect(dsn)
    listener.autocommit = True
    with listener.cursor() as cursor:
        cursor.execute("LISTEN payonce_orders")

    await save(stores[0], change(FIRST), change("ord_" + "c" * 26))
    await save(stores[0], *(change(f"ord_{n:026}") for n in range(400)))

    payloads: list[str] = []
    while len(payloads) < 2:
        assert select.select([listener], [], [], 10) != ([], [], [])
        listener.poll()
        payloads += [notice.payload for notice in listener.notifies]
        listener.notifies.clear()
    listener.close()
    assert payloads == [f"{FIRST}\nord_{'c' * 26}", "*"]


async def test_one_process_sweeps_at_a_time(stores: list[PostgresFoldStore]) -> None:
    first, second = stores
    await save(first, change(), pi_1=Reference(FIRST, None))
    async with first.transaction() as transaction:
        await transaction.park([parked("evt_1", "pi_1")])

    async with first.transaction() as sweeping:
        assert list(await sweeping.resolvable(10)) == ["pi_1"]
        async with second.transaction() as other:
            assert list(await other.resolvable(10)) == []


async def test_months_are_made_ahead_and_take_their_rows_out_of_the_default(
    stores: list[PostgresFoldStore], engine: Engine
) -> None:
    with engine.connect() as connection:
        now = connection.execute(text("SELECT now()")).scalar_one()
    names = [name for name, _, _ in months(now, 2)]
    line = TimelineEntry("evt_1", "TokenIssued", int(now.timestamp()), FIRST, ("t", 0, 0), "applied", None)
    old = TimelineEntry("evt_0", "TokenIssued", 1_000_000_000, FIRST, ("t", 0, 0), "applied", None)
    async with stores[0].transaction() as transaction:
        await transaction.record([line, old])

    made = await asyncio.gather(*(store.make_months(ahead=2) for store in stores))
    async with stores[0].transaction() as transaction:
        await transaction.record([line])

    assert sorted([*made[0], *made[1]]) == names
    with engine.connect() as connection:
        where = connection.execute(text("SELECT event_id, tableoid::regclass::text FROM payment_event ORDER BY 1"))
        assert [tuple(row) for row in where] == [("evt_0", "payment_event_default"), ("evt_1", names[0])]


def test_months_go_over_the_year() -> None:
    found = list(months(datetime(2026, 11, 30, 23, 30, tzinfo=UTC), 2))

    assert [name for name, _, _ in found] == ["payment_event_2026_11", "payment_event_2026_12", "payment_event_2027_01"]
    assert found[1][2] == found[2][1] == datetime(2027, 1, 1, tzinfo=UTC)


async def test_a_chore_of_the_same_process_waits_for_the_open_transaction(stores: list[PostgresFoldStore]) -> None:
    """Both run in one thread: without turns the chore would block it, waiting for a lock of the transaction."""
    store = stores[0]
    async with store.transaction() as transaction:
        await transaction.record([TimelineEntry("evt_1", "T", 1, FIRST, ("t", 0, 0), "applied", None)])
        chore = asyncio.create_task(store.make_months(ahead=30))
        await asyncio.sleep(0)
        await transaction.orders_of(["pi_1"])
        assert not chore.done()

    assert len(await chore) > 0


async def test_a_database_that_is_away_is_said_so() -> None:
    store = PostgresFoldStore(Database("postgresql+psycopg2://nobody@127.0.0.1:1/none", application_name="away"))

    with pytest.raises(StoreUnavailable):
        await store.positions()

    store.close()


async def test_a_caller_that_is_cancelled_leaves_no_transaction_open(stores: list[PostgresFoldStore]) -> None:
    first, second = stores
    holding = asyncio.Event()

    async def hold() -> None:
        async with first.transaction() as transaction:
            await transaction.lock([FIRST])
            holding.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await holding.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    async with second.transaction() as transaction:
        await transaction.lock([FIRST])


async def _rows(store: PostgresFoldStore) -> dict[str, tuple[object, object]]:
    columns = ", ".join(f"'{name}', {name}" for name in COLUMNS if name != "page_expires_at")
    expires = "CAST(extract(epoch FROM page_expires_at) AS bigint)"
    statement = (
        f"SELECT order_id, facts, jsonb_build_object({columns}, 'page_expires_at', {expires}) FROM payment_order"  # noqa: S608
    )
    async with store.transaction() as transaction:
        rows = await transaction.rows(text(statement), {})
    return {order_id: (facts, public) for order_id, facts, public in rows if facts}


async def _count(store: PostgresFoldStore, table: str) -> int:
    async with store.transaction() as transaction:
        [[number]] = await transaction.rows(text(f"SELECT count(*) FROM {table}"), {})  # noqa: S608
    return int(number)
