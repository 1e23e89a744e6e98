"""What a FoldStore is, asked of the fake and of PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from payonce.adapters.fold_store import PUBLIC_COLUMNS, PostgresFoldStore
from payonce.adapters.postgres import Database
from payonce.ports import FoldStore, ParkedEvent, PositionMoved, Record, Reference, StoreRejected
from tests.fakes.fold_rows import (
    CHARGE,
    COLUMNS,
    FIRST,
    INVOICE,
    OTHER_PLACE,
    PLACE,
    REFUND,
    REVERSAL,
    SECOND,
    TABLES,
    change,
    entry,
    money,
    outbox,
    parked,
    save,
    timeline,
)
from tests.fakes.fold_store import FakeFoldStore


@pytest.fixture(scope="module", params=["fake", pytest.param("postgres", marks=pytest.mark.stack)])
def kind(request: pytest.FixtureRequest) -> str:
    """Name the store."""
    return str(request.param)


@pytest.fixture
def store(kind: str, request: pytest.FixtureRequest) -> Iterator[FoldStore]:
    """An empty store."""
    if kind == "fake":
        yield FakeFoldStore()
        return
    url = request.getfixturevalue("database_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES}"))
    engine.dispose()
    real = PostgresFoldStore(Database(url, application_name="contract"))
    yield real
    real.close()


async def test_a_missing_order_is_made_empty_under_its_lock(store: FoldStore) -> None:
    async with store.transaction() as transaction:
        locked = await transaction.lock([SECOND, FIRST])

    assert list(locked) == [FIRST, SECOND]
    assert (locked[FIRST].facts, locked[FIRST].version) == ({}, 0)
    assert locked[FIRST].clock_ms > 1_500_000_000_000


async def test_what_is_saved_is_read_back(store: FoldStore) -> None:
    facts = {"sessions": {"cs_1": {"attempt": 1, "state": [0, "open", None, "é", 1.5]}}, "unknown": {"x": True}}

    await save(store, change(FIRST, facts, version=7))

    async with store.transaction() as transaction:
        locked = await transaction.lock([FIRST])
    assert (locked[FIRST].facts, locked[FIRST].version) == (facts, 7)
    assert dict(locked[FIRST].public) == {name: COLUMNS[name] for name in PUBLIC_COLUMNS}


async def test_an_exception_leaves_nothing(store: FoldStore) -> None:
    async def fail() -> None:
        async with store.transaction() as transaction:
            await transaction.lock([FIRST])
            await transaction.save([change()], {"pi_1": Reference(FIRST, None)})
            await transaction.advance({PLACE: 5}, expected={PLACE: None})
            raise KeyError

    with pytest.raises(KeyError):
        await fail()

    async with store.transaction() as transaction:
        assert await transaction.orders_of(["pi_1"]) == {}
        assert (await transaction.lock([FIRST]))[FIRST].facts == {}
    assert await store.positions() == {}


async def test_what_cannot_be_stored_is_refused_and_leaves_nothing(store: FoldStore) -> None:
    with pytest.raises(StoreRejected):
        await save(store, change(SECOND), change(FIRST, {"text": "NUL \x00"}))

    async with store.transaction() as transaction:
        assert (await transaction.lock([SECOND]))[SECOND].facts == {}


async def test_money_is_kept_as_it_was_last_told(store: FoldStore) -> None:
    """What an order has no more goes, what differs is written, another order's rows stay; None is not looked at."""
    other = replace(change(SECOND), movements=[CHARGE], invoices=[INVOICE])
    await save(store, replace(change(), movements=[REFUND, CHARGE], invoices=[INVOICE]), other)
    first = await money(store)
    paid = replace(INVOICE, status="paid", amount_paid=1_250, next_attempt_at=None, period_start=1_790_000_000)
    failed = replace(REFUND, state="reversed", psp_status="failed")
    await save(store, replace(change(), movements=[failed, REVERSAL], invoices=[paid]))
    second = await money(store)
    await save(store, change())
    await save(store, replace(change(SECOND), movements=[], invoices=[]))

    assert first == {FIRST: ([CHARGE, REFUND], [INVOICE]), SECOND: ([CHARGE], [INVOICE])}
    assert second == {FIRST: ([failed, REVERSAL], [paid]), SECOND: ([CHARGE], [INVOICE])}
    assert await money(store) == {FIRST: ([failed, REVERSAL], [paid]), SECOND: ([], [])}


async def test_the_first_owner_of_a_psp_id_stays_and_its_payment_may_come_later(store: FoldStore) -> None:
    await save(store, change(), ch_1=Reference(FIRST, None))
    await save(store, change(), ch_1=Reference(FIRST, "pi_1"), pi_1=Reference(FIRST, "pi_1"))
    await save(store, change(SECOND), ch_1=Reference(SECOND, "pi_2"))

    async with store.transaction() as transaction:
        assert await transaction.orders_of(["ch_1", "pi_1", "pi_2"]) == {"ch_1": FIRST, "pi_1": FIRST}


async def test_a_waiting_event_is_taken_by_any_of_its_ids_as_it_was_read(store: FoldStore) -> None:
    async with store.transaction() as transaction:
        await transaction.park([parked("evt_2", "re_1", "pi_1"), parked("evt_1", "pi_1"), parked("evt_3", "pi_3")])

    async with store.transaction() as transaction:
        taken = await transaction.parked_for(["pi_1", "unknown"])
        again = await transaction.parked_for(["re_1"])
    assert [event.event_id for event in taken] == ["evt_1", "evt_2"]
    assert sorted(taken[1].references) == ["pi_1", "re_1"]
    assert taken[1].record == parked("evt_2").record
    assert list(again) == []


async def test_a_record_without_key_value_and_headers_waits_too(store: FoldStore) -> None:
    bare = Record("payments.webhooks", 4, 9, None, None)
    async with store.transaction() as transaction:
        await transaction.park([ParkedEvent("evt_1", ("pi_1",), bare)])

    async with store.transaction() as transaction:
        [taken] = await transaction.parked_for(["pi_1"])
    assert taken.record == bare


async def test_a_rollback_keeps_the_event_waiting(store: FoldStore) -> None:
    async with store.transaction() as transaction:
        await transaction.park([parked("evt_1", "pi_1")])

    async def fail() -> None:
        async with store.transaction() as transaction:
            await transaction.parked_for(["pi_1"])
            raise KeyError

    with pytest.raises(KeyError):
        await fail()

    async with store.transaction() as transaction:
        assert len(await transaction.parked_for(["pi_1"])) == 1


async def test_parking_again_keeps_one_and_the_newer(store: FoldStore) -> None:
    async with store.transaction() as transaction:
        for psp_id in ("pi_wrong", "pi_right"):
            await transaction.park([parked("evt_1", psp_id)])

    async with store.transaction() as transaction:
        assert list(await transaction.parked_for(["pi_wrong"])) == []
        assert len(await transaction.parked_for(["pi_right"])) == 1


async def test_resolvable_ids_are_those_that_wait_and_are_known(store: FoldStore) -> None:
    await save(store, change(), pi_1=Reference(FIRST, None), pi_2=Reference(FIRST, None), re_2=Reference(FIRST, None))
    async with store.transaction() as transaction:
        await transaction.park([parked("evt_1", "pi_1", "re_1"), parked("evt_2", "pi_2"), parked("evt_3", "pi_9")])

    async with store.transaction() as transaction:
        assert list(await transaction.resolvable(10)) == ["pi_1", "pi_2"]
        assert list(await transaction.resolvable(1)) == ["pi_1"]


async def test_a_line_of_the_timeline_is_written_once(store: FoldStore) -> None:
    async with store.transaction() as transaction:
        await transaction.record([entry("evt_2"), entry("evt_1"), entry("evt_2", effect="ignored")])
        await transaction.record([entry("evt_1", effect="no_change", reason="known")])

    assert await timeline(store) == [("evt_1", "applied"), ("evt_2", "applied")]


async def test_positions_advance_from_what_is_expected(store: FoldStore) -> None:
    async with store.transaction() as transaction:
        await transaction.advance({PLACE: 5, OTHER_PLACE: 1}, expected={PLACE: None, OTHER_PLACE: None})
    async with store.transaction() as transaction:
        await transaction.advance({PLACE: 9}, expected={PLACE: 5})

    assert await store.positions() == {PLACE: 9, OTHER_PLACE: 1}


@pytest.mark.parametrize("expected", [None, 4, 6])
async def test_a_position_that_is_not_as_expected_stops_the_writer(store: FoldStore, expected: int | None) -> None:
    async with store.transaction() as transaction:
        await transaction.advance({PLACE: 5}, expected={PLACE: None})

    with pytest.raises(PositionMoved):
        async with store.transaction() as transaction:
            await transaction.advance({PLACE: 9, OTHER_PLACE: 2}, expected={PLACE: expected, OTHER_PLACE: None})

    assert await store.positions() == {PLACE: 5}


async def test_a_position_that_has_gone_stops_the_writer(store: FoldStore) -> None:
    with pytest.raises(PositionMoved):
        async with store.transaction() as transaction:
            await transaction.advance({PLACE: 9}, expected={PLACE: 5})


async def test_announcements_are_in_the_order_of_the_orders_versions(store: FoldStore) -> None:
    await save(store, change(SECOND, announcement=b"2"), change(FIRST, announcement=b"1"))
    await save(store, change(FIRST, announcement=b"3"), change(SECOND))

    assert await outbox(store) == [(FIRST, b"1"), (SECOND, b"2"), (FIRST, b"3")]


async def test_two_transactions_on_one_order_follow_each_other(store: FoldStore, kind: str, request: Any) -> None:
    """The second waits for the first and reads what it wrote: no update is lost."""
    other = (
        store
        if kind == "fake"
        else PostgresFoldStore(Database(request.getfixturevalue("database_url"), application_name="contract 2"))
    )

    async def add(by: FoldStore, name: str) -> None:
        for number in range(10):
            async with by.transaction() as transaction:
                row = (await transaction.lock([FIRST]))[FIRST]
                await transaction.save([change(FIRST, {**row.facts, f"{name}{number}": 1})], {})

    await asyncio.gather(add(store, "x"), add(other, "y"))

    async with store.transaction() as transaction:
        facts = (await transaction.lock([FIRST]))[FIRST].facts
    assert len(facts) == 20
    if isinstance(other, PostgresFoldStore):
        other.close()
