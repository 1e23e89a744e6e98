"""What an Outbox is, asked of the fake and of PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from payonce.adapters.outbox import PostgresOutbox
from payonce.adapters.postgres import Database
from payonce.ports import StoreUnavailable
from tests.fakes.outbox import FakeOutbox, OutboxTable
from tests.stacks import wait_until_gone


@dataclass(slots=True)
class Fake:
    """The fake's table and its relays."""

    table: OutboxTable
    first: FakeOutbox
    second: FakeOutbox

    def add(self, order_id: str, body: bytes) -> int:
        return self.table.add(order_id, body).id

    def break_connections(self) -> None:
        self.table.break_connections()


@dataclass(slots=True)
class Real:
    """PostgreSQL's table and its relays."""

    engine: Engine
    first: PostgresOutbox
    second: PostgresOutbox

    def add(self, order_id: str, body: bytes) -> int:
        with self.engine.begin() as connection:
            statement = text("INSERT INTO outbox (order_id, body) VALUES (:order_id, :body) RETURNING id")
            return int(connection.execute(statement, {"order_id": order_id, "body": body}).scalar_one())

    def break_connections(self) -> None:
        statement = """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name LIKE 'relay%' AND datname = current_database()
        """
        with self.engine.begin() as connection:
            connection.execute(text(statement))


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.stack)])
def outbox(request: pytest.FixtureRequest) -> Iterator[Fake | Real]:
    """An empty outbox with two relays, of which none has the lock."""
    if request.param == "fake":
        table = OutboxTable()
        yield Fake(table, FakeOutbox(table), FakeOutbox(table))
        return
    url: Any = request.getfixturevalue("database_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE outbox"))
    relays = [PostgresOutbox(Database(url, application_name=f"relay {n}", pool_size=1)) for n in range(2)]
    yield Real(engine, *relays)
    for relay in relays:
        relay.close()
    wait_until_gone(engine, "relay%")
    engine.dispose()


async def test_one_relay_at_a_time_and_asking_again_changes_nothing(outbox: Fake | Real) -> None:
    assert [await outbox.first.acquire(), await outbox.first.acquire(), await outbox.second.acquire()] == [
        True,
        True,
        False,
    ]


async def test_the_lowest_ids_come_first(outbox: Fake | Real) -> None:
    ids = [outbox.add("ord_1", b"\x00a"), outbox.add("ord_2", b"b"), outbox.add("ord_1", b"c")]
    await outbox.first.acquire()

    assert [(row.id, row.order_id, row.body) for row in await outbox.first.oldest(2)] == [
        (ids[0], "ord_1", b"\x00a"),
        (ids[1], "ord_2", b"b"),
    ]


async def test_deleted_rows_are_gone_and_deleting_again_is_harmless(outbox: Fake | Real) -> None:
    first, second = outbox.add("ord_1", b"a"), outbox.add("ord_1", b"b")
    await outbox.first.acquire()

    await outbox.first.delete([first])
    await outbox.first.delete([first])

    assert [row.id for row in await outbox.first.oldest(10)] == [second]


async def test_without_the_lock_nothing_is_read_or_deleted(outbox: Fake | Real) -> None:
    row_id = outbox.add("ord_1", b"a")
    await outbox.first.acquire()

    with pytest.raises(StoreUnavailable):
        await outbox.second.oldest(1)
    with pytest.raises(StoreUnavailable):
        await outbox.second.delete([row_id])

    assert len(await outbox.first.oldest(1)) == 1


async def test_a_lost_connection_is_a_lost_lock(outbox: Fake | Real) -> None:
    """Reconnecting behind the relay's back must not let it go on: another may have begun."""
    outbox.add("ord_1", b"a")
    await outbox.first.acquire()
    outbox.break_connections()

    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await outbox.first.oldest(1)
    assert await outbox.first.acquire()
    assert len(await outbox.first.oldest(1)) == 1


async def test_a_closed_relay_gives_the_lock_back(outbox: Fake | Real) -> None:
    await outbox.first.acquire()
    outbox.first.close()

    async with asyncio.timeout(60):
        while not await outbox.second.acquire():  # PostgreSQL notices the end of a connection a little later
            await asyncio.sleep(0.01)
