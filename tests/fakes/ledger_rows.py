"""Rows of the ledger as tests enter them, each of an order of its own."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from payonce.ports import (
    HOLDING_STATES,
    RefundEntry,
    Registration,
    RegistrationState,
)

STATES: tuple[RegistrationState, ...] = (*HOLDING_STATES, "expired", "cancelled", "rejected", "failed")
_numbers = count(1)


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
