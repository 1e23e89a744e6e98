"""How a FoldStore lets waiting events go, asked of the fake and of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import create_engine, text

from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.postgres import Database
from payonce.ports import FoldStore, ParkedEvent, Record, Reference
from tests.fakes.fold_store import FakeFoldStore

RECORD = Record("payments.webhooks", 1, 7, b"pi_1", b"{}", (("ce_id", b"evt_1"),), 5)
DAY = 86_400


@dataclass(slots=True)
class World:
    """A store, and what others do to its tables."""

    store: FoldStore
    foreign: Callable[[str], None]
    a_day_passes: Callable[[], None]


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Nothing waits, nothing is foreign."""
    if request.param == "fake":
        clock = [1_800_000_000_000]
        fake = FakeFoldStore(clock_ms=lambda: clock[0])
        yield World(fake, fake.foreign.add, lambda: clock.append(clock.pop() + DAY * 1000))
        return
    url = request.getfixturevalue("database_url")
    engine = create_engine(url)

    def do(statement: str, **parameters: str) -> None:
        with engine.begin() as connection:
            connection.execute(text(statement), parameters)

    do("TRUNCATE unresolved_event, foreign_reference, psp_reference, payment_order")
    store = PostgresFoldStore(Database(url, application_name="contract"))
    yield World(
        store,
        lambda psp_id: do("INSERT INTO foreign_reference VALUES (:psp_id)", psp_id=psp_id),
        lambda: do("UPDATE unresolved_event SET waiting_since = waiting_since - interval '1 day'"),
    )
    store.close()
    engine.dispose()


def event(name: str, *references: str) -> ParkedEvent:
    return ParkedEvent(name, references, replace(RECORD, headers=(("ce_id", name.encode()),)))


async def waits(world: World, *events: ParkedEvent) -> None:
    async with world.store.transaction() as transaction:
        await transaction.park(events)


async def left(world: World, *references: str) -> list[str]:
    async with world.store.transaction() as transaction:
        return [each.event_id for each in await transaction.parked_for(references)]


async def test_events_about_foreign_objects_are_dropped_up_to_the_limit(world: World) -> None:
    await waits(world, event("evt_1", "pi_1", "re_1"), event("evt_2", "re_1"), event("evt_3", "pi_3"))
    world.foreign("re_1")

    async with world.store.transaction() as transaction:
        assert await transaction.drop_foreign(1) == 1
    async with world.store.transaction() as transaction:
        assert await transaction.drop_foreign(10) == 1

    assert await left(world, "pi_1", "re_1", "pi_3") == ["evt_3"]


async def test_what_has_become_known_is_neither_dropped_nor_overdue(world: World) -> None:
    await waits(world, event("evt_1", "pi_1"))
    world.foreign("pi_1")
    world.a_day_passes()
    async with world.store.transaction() as transaction:
        await transaction.save((), {"pi_1": Reference("ord_" + "a" * 26, None)})

    async with world.store.transaction() as transaction:
        assert await transaction.drop_foreign(10) == 0
        assert await transaction.take_overdue(1, 10) == []

    assert await left(world, "pi_1") == ["evt_1"]


async def test_overdue_events_come_with_their_record_and_are_gone_after_the_commit(world: World) -> None:
    await waits(world, event("evt_1", "pi_1"), event("evt_2", "pi_2"))
    async with world.store.transaction() as transaction:
        assert await transaction.take_overdue(DAY - 60, 10) == []
    world.a_day_passes()
    await waits(world, event("evt_3", "pi_3"))

    async with world.store.transaction() as transaction:
        taken = await transaction.take_overdue(DAY - 60, 1)

    assert [(each.event_id, each.references, each.record) for each in taken] == [
        ("evt_1", ("pi_1",), event("evt_1").record)
    ]
    assert await left(world, "pi_1", "pi_2", "pi_3") == ["evt_2", "evt_3"]


async def test_an_overdue_event_stays_if_the_transaction_fails(world: World) -> None:
    await waits(world, event("evt_1", "pi_1"))
    world.a_day_passes()

    async def failing() -> None:
        async with world.store.transaction() as transaction:
            await transaction.take_overdue(DAY - 60, 10)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()

    assert await left(world, "pi_1") == ["evt_1"]
