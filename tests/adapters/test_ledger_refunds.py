"""One suite for the Ledger port, on the fake and on PostgreSQL: refunds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.ports import (
    Ledger,
    RefundState,
)
from tests.fakes.ledger_rows import order, refund

REFUND_STATES: tuple[RefundState, ...] = ("calling", "unknown", "accepted", "rejected")


async def test_a_refund_is_entered_once_and_read_back_as_it_was(ledger: Ledger) -> None:
    entry = refund(order())
    assert await ledger.refund(entry.order_id, "r-1") is None

    assert await ledger.enter_refund(entry) == (entry, True)
    assert await ledger.enter_refund(replace(entry, amount=1)) == (entry, False)
    assert await ledger.refund(entry.order_id, "r-1") == entry
    other, new = await ledger.enter_refund(refund(entry.order_id, "r-2"))
    assert (other.refund_reference, new) == ("r-2", True)
    assert list(entry.request) == list(other.request), "every try sends the same bytes"


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
