"""Reads of payment_order and word of its changes, on real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, create_engine, text

from payonce.adapters.order_reads import OrderReads
from payonce.adapters.order_watch import OrderWatch
from payonce.domain.terms import Recurring
from payonce.ports import StoreUnavailable
from tests.fakes.checkout_api import row, terms
from tests.stacks import ChosenStack, wait_until_gone

pytestmark = pytest.mark.stack
NOWHERE = "postgresql+psycopg2://payonce@127.0.0.1:1/payonce"
ORDER = row("registered", terms(description="Two books"), customer_email=None, flags=("amount_mismatch",))
WATCH_NAME = "watch under test"
READS_NAME = "checkout_api reads"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
async def reads(database_url: str, engine: Engine) -> AsyncIterator[OrderReads]:
    reads = OrderReads(database_url)
    yield reads
    await reads.close()
    wait_until_gone(engine, READS_NAME)


@pytest.fixture
async def watch(database_url: str, engine: Engine) -> AsyncIterator[OrderWatch]:
    watch = OrderWatch(database_url, application_name=WATCH_NAME)
    running = asyncio.create_task(watch.run())
    await until(lambda: watch.healthy)
    yield watch
    running.cancel()
    await asyncio.wait((running,))
    assert running.cancelled()
    wait_until_gone(engine, WATCH_NAME)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def insert(engine: Engine) -> None:
    """Write the order as the fold does: the client's description and e-mail are in the facts only."""
    facts = """jsonb_build_object('terms', jsonb_build_object('1', jsonb_build_object(CAST(:body_hash AS text),
        jsonb_build_object('terms', jsonb_build_object('description', 'Two books', 'customer_email', null)))))"""
    sql = f"""
        INSERT INTO payment_order (order_id, client_id, reference, body_hash, payment_type, payment_method, psp, amount,
            currency, redirect_url, payment_order_status, attempt, psp_token, hosted_page_url, page_expires_at, flags,
            facts, version, created_at, updated_at)
        VALUES (:order_id, :client_id, :reference, :body_hash, :payment_type, :payment_method, :psp, :amount,
            :currency, :redirect_url, :status, :attempt, :psp_token, :hosted_page_url, to_timestamp(:page_expires_at),
            :flags, {facts}, :version, to_timestamp(:created_at + 0.9), to_timestamp(:updated_at))
        ON CONFLICT DO NOTHING
    """  # noqa: S608  (constant)
    values = {name: getattr(ORDER, name) for name in ORDER.__dataclass_fields__}
    with engine.connect() as connection:
        connection.execute(text(sql), {**values, "flags": list(ORDER.flags)})


def execute(engine: Engine, sql: str, **parameters: object) -> list[object]:
    """Return the first column of what the statement returns, if it does."""
    with engine.connect() as connection:
        result = connection.execute(text(sql), parameters)
        return [value for (value,) in result] if result.returns_rows else []


def notify(engine: Engine, payload: str) -> None:
    execute(engine, "SELECT pg_notify('payonce_orders', :payload)", payload=payload)


async def woken(waiting: asyncio.Task[None]) -> bool:
    done, _ = await asyncio.wait((waiting,), timeout=10)
    return bool(done)


async def test_an_order_is_read_as_it_was_written(reads: OrderReads, engine: Engine) -> None:
    insert(engine)

    assert await reads.order(ORDER.order_id) == ORDER
    assert await reads.order("ord_" + "a" * 26) is None


async def test_an_order_of_which_only_an_event_is_known_has_no_terms(reads: OrderReads, engine: Engine) -> None:
    order_id = "ord_" + "b" * 26
    execute(engine, "INSERT INTO payment_order (order_id) VALUES (:id) ON CONFLICT DO NOTHING", id=order_id)

    found = await reads.order(order_id)

    assert found is not None
    assert (found.client_id, found.body_hash, found.status, found.flags) == (None, None, "created", ())


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ('{"interval": "month", "interval_count": 2, "trial_days": 14}', Recurring("month", 2, 14)),
        ('{"interval": "year", "interval_count": 1, "trial_days": null, "newer": 1}', Recurring("year")),
        ("null", None),
    ],
    ids=["whole", "of-a-newer-version", "null"],
)
async def test_how_often_a_subscription_is_billed_is_read_from_its_terms(
    reads: OrderReads, engine: Engine, stored: str, expected: Recurring | None
) -> None:
    order_id = "ord_" + "c" * 26
    facts = f'{{"terms": {{"1": {{"hash": {{"terms": {{"recurring": {stored}}}}}}}}}}}'
    execute(
        engine,
        """
        INSERT INTO payment_order (order_id, attempt, body_hash, facts) VALUES (:id, 1, 'hash', CAST(:facts AS jsonb))
        ON CONFLICT (order_id) DO UPDATE SET facts = excluded.facts
        """,
        id=order_id,
        facts=facts,
    )

    found = await reads.order(order_id)

    assert found is not None
    assert found.recurring == expected


async def test_a_crowd_of_readers_is_answered_each_with_its_own_order(reads: OrderReads, engine: Engine) -> None:
    insert(engine)
    ids = [ORDER.order_id if number % 3 else f"ord_{number:026d}" for number in range(300)]

    found = await asyncio.gather(*(reads.order(order_id) for order_id in ids))

    assert [view and view.order_id for view in found] == [
        ORDER.order_id if order_id == ORDER.order_id else None for order_id in ids
    ]


async def test_a_read_begins_after_it_was_asked_for(reads: OrderReads, engine: Engine) -> None:
    """Answers are shared only with those who asked before the query began: a committed change is never missed."""
    insert(engine)
    for number in range(20):
        execute(engine, "UPDATE payment_order SET version = :n WHERE order_id = :id", n=number, id=ORDER.order_id)
        noise = [asyncio.create_task(reads.order(ORDER.order_id)) for _ in range(3)]
        found = await reads.order(ORDER.order_id)
        await asyncio.gather(*noise)
        assert found is not None
        assert found.version == number


async def test_without_postgresql_reads_say_so() -> None:
    reads = OrderReads(NOWHERE)

    with pytest.raises(StoreUnavailable):
        await reads.order(ORDER.order_id)
    await reads.close()


async def test_reads_recover_when_their_connection_is_cut(reads: OrderReads, engine: Engine) -> None:
    insert(engine)
    await reads.order(ORDER.order_id)
    end(engine, READS_NAME)

    with pytest.raises(StoreUnavailable):
        await reads.order(ORDER.order_id)
    assert await reads.order(ORDER.order_id) is not None


async def test_a_locked_table_makes_reads_unavailable_not_endless(reads: OrderReads, engine: Engine) -> None:
    with engine.connect() as connection, connection.execution_options(isolation_level="READ COMMITTED").begin():
        connection.execute(text("LOCK TABLE payment_order IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StoreUnavailable):
            await reads.order(ORDER.order_id)


async def test_a_notification_wakes_those_it_names(watch: OrderWatch, engine: Engine) -> None:
    with watch.waiter("ord_1") as first, watch.waiter("ord_2") as second, watch.waiter("ord_3") as third:
        tasks = [asyncio.create_task(waiter.changed()) for waiter in (first, second, third)]
        notify(engine, "ord_1\nord_3\nord_unknown")

        assert await woken(tasks[0])
        assert await woken(tasks[2])
        assert not tasks[1].done()

        notify(engine, "*")
        assert await woken(tasks[1])


async def test_a_change_between_registering_and_waiting_is_not_missed(watch: OrderWatch, engine: Engine) -> None:
    with watch.waiter("ord_1") as waiter, watch.waiter("ord_1") as witness:
        notify(engine, "ord_1")
        await asyncio.wait_for(witness.changed(), 10)

        await asyncio.wait_for(waiter.changed(), 0.1)


async def test_a_lost_connection_is_made_again_and_everyone_reads_again(watch: OrderWatch, engine: Engine) -> None:
    with watch.waiter("ord_1") as waiter:
        end(engine, WATCH_NAME)
        await asyncio.wait_for(waiter.changed(), 10)
        await until(lambda: watch.healthy)
        await asyncio.wait_for(waiter.changed(), 10)

        notify(engine, "ord_1")
        await asyncio.wait_for(waiter.changed(), 10)


async def test_a_peer_that_is_alive_but_silent_is_noticed(
    watch: OrderWatch, engine: Engine, stack: ChosenStack
) -> None:
    """A stopped process keeps its sockets open: only a sign of life that does not come tells."""
    if stack.embedded is None:
        pytest.skip("needs PostgreSQL's processes on this machine")
    sessions = "SELECT pid FROM pg_stat_activity WHERE application_name = :name AND datname = current_database()"
    (backend,) = execute(engine, sessions, name=WATCH_NAME)

    assert isinstance(backend, int)
    with frozen(backend):
        await until(lambda: not watch.healthy)
    await until(lambda: watch.healthy)


async def test_without_postgresql_the_watch_stays_unhealthy_and_keeps_trying() -> None:
    watch = OrderWatch(NOWHERE)

    await watch.run_once()
    await watch.run_once()

    assert not watch.healthy


def end(engine: Engine, application_name: str) -> None:
    """Cut the connections of that name, as a failover does."""
    sql = """
        SELECT CAST(pg_terminate_backend(pid, 60000) AS int) FROM pg_stat_activity
        WHERE application_name = :name AND datname = current_database()
    """
    assert execute(engine, sql, name=application_name) == [1]


@contextmanager
def frozen(process_id: int) -> Iterator[None]:
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)
