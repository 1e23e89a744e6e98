"""Two workers at once at the ledger, asked of the simulated PostgreSQL and of the real one."""

from __future__ import annotations

import asyncio
from typing import Any

from payonce.ports import (
    Ledger,
    Registration,
)
from tests.fakes.races import LedgerRace

FIRST = "ord_" + "a" * 26
SAID = {"outcome_type": "TokenIssued.v1", "outcome_body": b"{}"}


def row(attempt: int, **changes: Any) -> Registration:
    fields: dict[str, Any] = {
        "order_id": FIRST,
        "attempt": attempt,
        "body_hash": "v1:x",
        "command_id": f"cmd_{attempt}",
        "idempotency_key": f"{FIRST}:register:{attempt}",
        "api_version": "v",
        "request": {},
        "first_try_at": 1.0,
        "last_try_at": 1.0,
        "expires_at": 2,
    }
    return Registration(**{**fields, **changes})


def test_an_attempt_is_entered_by_one(ledger_race: LedgerRace[Any]) -> None:
    async def scenario(ours: Ledger, theirs: Ledger) -> tuple[list[bool], bool]:
        one, other = await asyncio.gather(ours.enter(row(1)), theirs.enter(row(1, body_hash="v1:other")))
        return sorted([one.new, other.new]), one.rows == other.rows

    assert ledger_race(scenario) == ([False, True], True)


def test_of_two_settlements_the_first_stays(ledger_race: LedgerRace[Any]) -> None:
    async def scenario(ours: Ledger, theirs: Ledger) -> bool:
        await ours.enter(row(1))
        one, other = await asyncio.gather(
            ours.settle(row(1, state="open", session_id="cs_1", **SAID), expected=("calling",)),
            theirs.settle(row(1, state="failed", proof="p", **SAID), expected=("calling",)),
        )
        return one == other and one is not None

    assert ledger_race(scenario)


def test_a_new_attempt_and_a_settlement_that_lets_go_never_hold_the_order_twice(ledger_race: LedgerRace[Any]) -> None:
    """Whichever comes first, the index allows one row in a holding state."""

    async def scenario(ours: Ledger, theirs: Ledger) -> int:
        await ours.enter(row(1))
        await asyncio.gather(
            ours.settle(row(1, state="expired", session_id="cs_1", proof="p", **SAID), expected=("calling",)),
            theirs.enter(row(2)),
            ours.enter(row(2, body_hash="v1:other")),
        )
        entered = await ours.enter(row(3))
        return sum(each.state in {"calling", "open", "unknown", "used"} for each in entered.rows.values())

    assert ledger_race(scenario) <= 1
