"""One suite for the Ledger port, on the fake and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import count

import pytest
from sqlalchemy import text

from payonce.adapters.ledger import PostgresLedger
from payonce.adapters.ledger_continuity import LedgerThread
from payonce.adapters.postgres import Database
from payonce.ports import (
    HOLDING_STATES,
    Ledger,
    PositionMoved,
    RefundEntry,
    RefundState,
    Registration,
    RegistrationState,
    StoreRejected,
    StoreUnavailable,
    TopicPartition,
)
from tests.fakes.ledger import MemoryLedger

STATES: tuple[RegistrationState, ...] = (*HOLDING_STATES, "expired", "cancelled", "rejected", "failed")
_numbers = count(1)


@pytest.fixture(params=["memory", pytest.param("postgresql", marks=pytest.mark.stack)])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    database = Database(request.getfixturevalue("database_url"), application_name="test")
    thread = LedgerThread(database)
    yield PostgresLedger(thread)
    thread.close()
    database.dispose()


def row(order_id: str, attempt: int = 1, state: RegistrationState = "calling", **changes: object) -> Registration:
    entry = Registration(
        order_id=order_id,
        attempt=attempt,
        body_hash="v1:hash",
        command_id=f"cmd_{order_id}_{attempt}",
        idempotency_key=f"{order_id}:register:{attempt}",
        api_version="2026-10-28.endive",
        request={"z": 1, "a": {"n": [1, "x", None]}, "metadata": {"name": "Zoë \u0000"}},
        first_try_at=1_900_000_000.125,
        last_try_at=1_900_000_000.125,
        expires_at=1_900_007_200,
        state=state,
    )
    if state != "calling":
        entry = replace(entry, outcome_type="TokenIssued.v1", outcome_body=b'{"a":1}\xff')
    return replace(entry, **changes)  # type: ignore[arg-type]


def order() -> str:
    return f"ord_{next(_numbers)}"


async def test_a_new_order_enters_and_is_read_back_as_it_was(ledger: Ledger) -> None:
    entry = row(order())
    entered = await ledger.enter(entry)

    assert entered.new
    assert entered.rows == {1: entry}
    assert list(entered.rows[1].request) == ["z", "a", "metadata"], "every try sends the same bytes"


async def test_entering_again_changes_nothing(ledger: Ledger) -> None:
    name = order()
    await ledger.enter(row(name))
    entered = await ledger.enter(row(name, body_hash="v1:other", first_try_at=1.0))

    assert not entered.new
    assert entered.rows == {1: row(name)}


@pytest.mark.parametrize("attempt", [2, 5])
async def test_an_attempt_that_does_not_follow_is_not_entered(ledger: Ledger, attempt: int) -> None:
    entered = await ledger.enter(row(order(), attempt))

    assert not entered.new
    assert entered.rows == {}


@pytest.mark.parametrize("state", STATES)
async def test_one_row_at_most_holds_an_order(ledger: Ledger, state: RegistrationState) -> None:
    name = order()
    await ledger.enter(row(name, state=state))
    entered = await ledger.enter(row(name, 2))

    assert entered.new == (state not in HOLDING_STATES)
    assert set(entered.rows) == ({1} if state in HOLDING_STATES else {1, 2})


async def test_a_rejection_is_entered_beside_the_row_that_holds_the_order(ledger: Ledger) -> None:
    name = order()
    await ledger.enter(row(name))
    entered = await ledger.enter(row(name, 2, "rejected"))

    assert entered.new
    assert [known.state for _, known in sorted(entered.rows.items())] == ["calling", "rejected"]


@pytest.mark.parametrize("state", STATES)
async def test_settling_writes_only_over_an_expected_state(ledger: Ledger, state: RegistrationState) -> None:
    name = order()
    before = row(name, state=state)
    await ledger.enter(before)
    answer = row(name, state="open", session_id="cs_1", proof="p", last_try_at=1_900_000_009.5)
    stored = await ledger.settle(answer, expected=("calling", "unknown"))

    assert stored == (answer if state in ("calling", "unknown") else before)
    assert (await ledger.enter(before)).rows[1] == stored


async def test_settling_keeps_what_was_frozen_at_the_first_command(ledger: Ledger) -> None:
    before = row(order())
    await ledger.enter(before)
    stored = await ledger.settle(
        replace(before, request={}, body_hash="x", idempotency_key="x", first_try_at=0.0, last_try_at=5.0),
        expected=("calling",),
    )

    assert stored == replace(before, last_try_at=5.0)


async def test_settling_a_row_that_is_gone_says_so(ledger: Ledger) -> None:
    assert await ledger.settle(row(order()), expected=("calling",)) is None


async def test_many_at_once_each_get_their_own_answer(ledger: Ledger) -> None:
    names = [order() for _ in range(200)]
    entered = await asyncio.gather(*(ledger.enter(row(name)) for name in names))
    settled = await asyncio.gather(
        *(ledger.settle(row(name, state="open", session_id=f"cs_{name}"), expected=("calling",)) for name in names)
    )

    assert [answer.rows for answer in entered] == [{1: row(name)} for name in names]
    assert all(answer.new for answer in entered)
    assert [stored and stored.session_id for stored in settled] == [f"cs_{name}" for name in names]


async def test_of_two_entries_for_one_attempt_at_once_one_is_new(ledger: Ledger) -> None:
    name = order()
    first, second = await asyncio.gather(ledger.enter(row(name)), ledger.enter(row(name, body_hash="v1:other")))

    assert [first.new, second.new].count(True) == 1
    assert first.rows == second.rows


async def test_positions_are_stored_and_move_only_from_where_they_were(ledger: Ledger) -> None:
    first, second = TopicPartition(order(), 0), TopicPartition(order(), 1)
    await ledger.advance({first: 5, second: 7}, expected={first: None, second: None})
    await ledger.advance({first: 9}, expected={first: 5})
    await ledger.advance({first: 9}, expected={first: 5})  # its first answer was lost: already there
    with pytest.raises(PositionMoved):
        await ledger.advance({first: 10, second: 8}, expected={first: 9, second: 6})
    with pytest.raises(PositionMoved):
        await ledger.advance({second: 8}, expected={second: None})
    with pytest.raises(PositionMoved):
        await ledger.advance({TopicPartition("gone", 0): 8}, expected={TopicPartition("gone", 0): 7})
    positions = await ledger.positions()

    assert (positions[first], positions[second]) == (9, 7)


async def test_the_rows_of_an_order_are_read_without_entering_anything(ledger: Ledger) -> None:
    name = order()
    assert await ledger.rows(name) == {}
    await ledger.enter(row(name, state="failed"))
    await ledger.enter(row(name, 2))

    assert await ledger.rows(name) == {1: row(name, state="failed"), 2: row(name, 2)}


def refund(order_id: str, reference: str = "r-1", **changes: object) -> RefundEntry:
    entry = RefundEntry(
        order_id=order_id,
        refund_reference=reference,
        command_id="cmd_1",
        payment=None,
        amount=500,
        payment_intent="pi_1",
        idempotency_key=f"{order_id}:refund:{reference}",
        api_version="2026-10-28.endive",
        request={"z": 1, "a": {"n": [1, "x", None]}},
        first_try_at=1_900_000_000.125,
        last_try_at=1_900_000_000.125,
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


async def test_a_refund_is_entered_once_and_read_back_as_it_was(ledger: Ledger) -> None:
    entry = refund(order())
    assert await ledger.refund(entry.order_id, "r-1") is None

    assert await ledger.enter_refund(entry) == (entry, True)
    assert await ledger.enter_refund(replace(entry, amount=1)) == (entry, False)
    assert await ledger.refund(entry.order_id, "r-1") == entry
    other, new = await ledger.enter_refund(refund(entry.order_id, "r-2"))
    assert (other.refund_reference, new) == ("r-2", True)
    assert list(entry.request) == list(other.request), "every try sends the same bytes"


REFUND_STATES: tuple[RefundState, ...] = ("calling", "unknown", "accepted", "rejected")


@pytest.mark.parametrize("state", REFUND_STATES)
async def test_settling_a_refund_writes_only_over_an_expected_state(ledger: Ledger, state: RefundState) -> None:
    outcome: dict[str, object] = {"outcome_type": "RefundAccepted.v1", "outcome_body": b"{}\xff", "refund_id": "re_1"}
    before = refund(order(), "r-1", **({"state": state} | ({} if state in ("calling", "unknown") else outcome)))
    await ledger.enter_refund(before)
    answer = replace(before, state="accepted", last_try_at=1_900_000_009.5, proof="p", **outcome)  # type: ignore[arg-type]
    changed = replace(answer, request={}, amount=1, idempotency_key="x", first_try_at=0.0)
    stored = await ledger.settle_refund(changed, expected=("calling", "unknown"))

    assert stored == (answer if state in ("calling", "unknown") else before)
    assert await ledger.refund(before.order_id, "r-1") == stored


async def test_settling_a_refund_that_is_gone_says_so(ledger: Ledger) -> None:
    assert await ledger.settle_refund(refund(order()), expected=("calling",)) is None


@pytest.mark.stack
class TestPostgreSQL:
    """What only the real one can show."""

    @pytest.fixture
    async def new_ledger(self, database_url: str) -> AsyncIterator[Callable[[], PostgresLedger]]:
        threads = []

        def make() -> PostgresLedger:
            threads.append(LedgerThread(Database(database_url, application_name="test")))
            return PostgresLedger(threads[-1])

        yield make
        for thread in threads:
            thread.close()
            thread._database.dispose()

    async def test_two_processes_entering_side_by_side_never_hold_an_order_twice(
        self, new_ledger: Callable[[], PostgresLedger]
    ) -> None:
        ours, theirs = new_ledger(), new_ledger()
        names = [order() for _ in range(60)]
        entered = await asyncio.gather(
            *(ours.enter(row(name)) for name in names), *(theirs.enter(row(name)) for name in reversed(names))
        )

        assert sum(answer.new for answer in entered) == len(names)
        assert all(answer.rows[1].state == "calling" for answer in entered)

    async def test_two_processes_settling_side_by_side_agree(self, new_ledger: Callable[[], PostgresLedger]) -> None:
        ours, theirs = new_ledger(), new_ledger()
        names = [order() for _ in range(60)]
        await asyncio.gather(*(ours.enter(row(name)) for name in names))
        one = await asyncio.gather(
            *(ours.settle(row(n, state="open", session_id="cs_1"), expected=("calling",)) for n in names),
            *(theirs.settle(row(n, state="failed", proof="p"), expected=("calling",)) for n in reversed(names)),
        )

        assert one[:60] == list(reversed(one[60:]))

    async def test_the_index_refuses_a_second_holder_even_without_our_checks(self, database_url: str) -> None:
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

    async def test_bad_data_of_one_order_fails_no_other(self, new_ledger: Callable[[], PostgresLedger]) -> None:
        ledger, names = new_ledger(), [order() for _ in range(5)]
        poison = row(names[2], expires_at=2**70)
        entries = [poison if name == names[2] else row(name) for name in names]
        answers = await asyncio.gather(*(ledger.enter(entry) for entry in entries), return_exceptions=True)

        assert isinstance(answers[2], StoreRejected)
        assert [getattr(answer, "new", None) for answer in answers] == [True, True, None, True, True]

    @pytest.mark.parametrize("backup", ["UPDATE ledger_writer SET beat = beat - 1", "DELETE FROM ledger_writer"])
    async def test_a_restored_database_is_noticed_before_anything_is_read_or_written(
        self, database_url: str, new_ledger: Callable[[], PostgresLedger], backup: str
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

    async def test_refused_and_interrupted_transactions_break_nothing(
        self, new_ledger: Callable[[], PostgresLedger]
    ) -> None:
        ledger = new_ledger()
        for _ in range(3):
            with pytest.raises(StoreRejected):
                await ledger.enter(row(order(), expires_at=2**70))
            with pytest.raises(PositionMoved):
                await ledger.advance({TopicPartition("t", 1): 5}, expected={TopicPartition("t", 1): 4})
        assert (await ledger.enter(row(order()))).new

    async def test_a_database_that_is_away_says_so(self) -> None:
        thread = LedgerThread(Database("postgresql+psycopg2://x@127.0.0.1:1/x", application_name="test"))
        ledger = PostgresLedger(thread)
        with pytest.raises(StoreUnavailable):
            await ledger.enter(row(order()))
        with pytest.raises(StoreUnavailable):
            await ledger.positions()
        thread.close()
