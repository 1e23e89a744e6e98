"""One suite for the Ledger port, on the fake and on PostgreSQL: registrations and positions."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from payonce.ports import (
    HOLDING_STATES,
    Ledger,
    PositionMoved,
    RegistrationState,
    TopicPartition,
)
from tests.fakes.ledger_rows import STATES, order, row


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
    await ledger.advance({first: 5, second: 7}, expected={first: [None], second: [None]})
    await ledger.advance({first: 9}, expected={first: [5]})
    await ledger.advance({first: 9}, expected={first: [5]})  # its first answer was lost: already there
    with pytest.raises(PositionMoved):
        await ledger.advance({first: 10, second: 8}, expected={first: [9], second: [6]})
    with pytest.raises(PositionMoved):
        await ledger.advance({second: 8}, expected={second: [None]})
    with pytest.raises(PositionMoved):
        await ledger.advance({TopicPartition("gone", 0): 8}, expected={TopicPartition("gone", 0): [7]})
    positions = await ledger.positions()

    assert (positions[first], positions[second]) == (9, 7)


@pytest.mark.parametrize("stored", [None, 5, 7])
async def test_a_position_moves_from_wherever_a_lost_answer_may_have_left_it(
    ledger: Ledger, stored: int | None
) -> None:
    place = TopicPartition(order(), 0)
    if stored is not None:
        await ledger.advance({place: stored}, expected={place: [None]})
    await ledger.advance({place: 9}, expected={place: [None, 5, 7]})
    with pytest.raises(PositionMoved):
        await ledger.advance({place: 11}, expected={place: [None, 5, 7, 8]})

    assert (await ledger.positions())[place] == 9


async def test_a_position_of_which_no_row_is_left_was_not_written_by_us(ledger: Ledger) -> None:
    place = TopicPartition(order(), 0)
    with pytest.raises(PositionMoved):
        await ledger.advance({place: 9}, expected={place: [5, 7]})

    assert place not in await ledger.positions()


async def test_the_rows_of_an_order_are_read_without_entering_anything(ledger: Ledger) -> None:
    name = order()
    assert await ledger.rows(name) == {}
    await ledger.enter(row(name, state="failed"))
    await ledger.enter(row(name, 2))

    assert await ledger.rows(name) == {1: row(name, state="failed"), 2: row(name, 2)}
