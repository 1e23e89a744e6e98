"""What only the ledger on PostgreSQL can show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from payonce.adapters.ledger import PostgresLedger
from payonce.adapters.ledger_continuity import LedgerThread
from payonce.adapters.postgres import Database
from payonce.ports import (
    PositionMoved,
    StoreRejected,
    StoreUnavailable,
    TopicPartition,
)
from tests.fakes.ledger_rows import order, row

pytestmark = pytest.mark.stack


async def test_two_processes_entering_side_by_side_never_hold_an_order_twice(
    new_ledger: Callable[[], PostgresLedger],
) -> None:
    ours, theirs = new_ledger(), new_ledger()
    names = [order() for _ in range(60)]
    entered = await asyncio.gather(
        *(ours.enter(row(name)) for name in names), *(theirs.enter(row(name)) for name in reversed(names))
    )

    assert sum(answer.new for answer in entered) == len(names)
    assert all(answer.rows[1].state == "calling" for answer in entered)


async def test_two_processes_settling_side_by_side_agree(new_ledger: Callable[[], PostgresLedger]) -> None:
    ours, theirs = new_ledger(), new_ledger()
    names = [order() for _ in range(60)]
    await asyncio.gather(*(ours.enter(row(name)) for name in names))
    one = await asyncio.gather(
        *(ours.settle(row(n, state="open", session_id="cs_1"), expected=("calling",)) for n in names),
        *(theirs.settle(row(n, state="failed", proof="p"), expected=("calling",)) for n in reversed(names)),
    )

    assert one[:60] == list(reversed(one[60:]))


async def test_the_index_refuses_a_second_holder_even_without_our_checks(database_url: str) -> None:
    database = Database(database_url, application_name="test")
    thread, name = LedgerThread(database), order()
    await PostgresLedger(thread).enter(row(name))
    with pytest.raises(StoreRejected), database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO psp_registration SELECT order_id, 2, body_hash, command_id, idempotency_key,"
                " api_version, request, first_try_at, last_try_at, expires_at, state FROM psp_registration"
                " WHERE order_id = :name"
            ),
            {"name": name},
        )
    thread.close()
    database.dispose()


async def test_bad_data_of_one_order_fails_no_other(new_ledger: Callable[[], PostgresLedger]) -> None:
    ledger, names = new_ledger(), [order() for _ in range(5)]
    poison = row(names[2], expires_at=2**70)
    entries = [poison if name == names[2] else row(name) for name in names]
    answers = await asyncio.gather(*(ledger.enter(entry) for entry in entries), return_exceptions=True)

    assert isinstance(answers[2], StoreRejected)
    assert [getattr(answer, "new", None) for answer in answers] == [True, True, None, True, True]


@pytest.mark.parametrize("backup", ["UPDATE ledger_writer SET beat = beat - 1", "DELETE FROM ledger_writer"])
async def test_a_restored_database_is_noticed_before_anything_is_read_or_written(
    database_url: str, new_ledger: Callable[[], PostgresLedger], backup: str
) -> None:
    """Whatever a backup has forgotten, it has forgotten our last transaction, too."""
    ledger, name = new_ledger(), order()
    await ledger.enter(row(name))
    database = Database(database_url, application_name="test")
    with database.transaction() as connection:
        connection.execute(text(backup))
    database.dispose()

    for _ in range(2):
        with pytest.raises(PositionMoved):
            await ledger.rows(name)
        with pytest.raises(PositionMoved):
            await ledger.enter(row(name, 2, "cancelled"))
    assert set(await new_ledger().rows(name)) == {1}


async def test_refused_and_interrupted_transactions_break_nothing(new_ledger: Callable[[], PostgresLedger]) -> None:
    ledger = new_ledger()
    for _ in range(3):
        with pytest.raises(StoreRejected):
            await ledger.enter(row(order(), expires_at=2**70))
        with pytest.raises(PositionMoved):
            await ledger.advance({TopicPartition("t", 1): 5}, expected={TopicPartition("t", 1): [4]})
    assert (await ledger.enter(row(order()))).new


async def test_a_database_that_is_away_says_so() -> None:
    thread = LedgerThread(Database("postgresql+psycopg2://x@127.0.0.1:1/x", application_name="test"))
    ledger = PostgresLedger(thread)
    with pytest.raises(StoreUnavailable):
        await ledger.enter(row(order()))
    with pytest.raises(StoreUnavailable):
        await ledger.positions()
    thread.close()
