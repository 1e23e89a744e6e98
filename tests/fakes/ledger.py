"""The Ledger port in memory, held to the same suite as the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from payonce.ports import (
    HOLDING_STATES,
    Entered,
    PositionMoved,
    RefundEntry,
    RefundState,
    Registration,
    RegistrationState,
    StoreUnavailable,
    TopicPartition,
)


class MemoryLedger:
    """Keeps rows in a dict; `away` makes every call fail as if it were down, `slow_seconds` delays `advance`."""

    def __init__(self) -> None:
        self.registrations: dict[str, dict[int, Registration]] = {}
        self.refunds: dict[tuple[str, str], RefundEntry] = {}
        self.offsets: dict[TopicPartition, int] = {}
        self.away = False
        self.slow_seconds = 0.0

    async def rows(self, order_id: str) -> Mapping[int, Registration]:
        self._answer()
        return dict(self.registrations.get(order_id, {}))

    async def enter(self, registration: Registration) -> Entered:
        self._answer()
        rows = self.registrations.setdefault(registration.order_id, {})
        is_next = registration.attempt == max(rows, default=0) + 1
        is_held = any(row.state in HOLDING_STATES for row in rows.values())
        new = is_next and not (registration.state in HOLDING_STATES and is_held)
        if new:
            rows[registration.attempt] = registration
        return Entered(rows=dict(rows), new=new)

    async def settle(self, registration: Registration, *, expected: Sequence[RegistrationState]) -> Registration | None:
        self._answer()
        rows = self.registrations.get(registration.order_id, {})
        stored = rows.get(registration.attempt)
        if stored is None or stored.state not in expected:
            return stored
        rows[registration.attempt] = replace(
            stored,
            state=registration.state,
            last_try_at=registration.last_try_at,
            session_id=registration.session_id,
            outcome_type=registration.outcome_type,
            outcome_body=registration.outcome_body,
            proof=registration.proof,
        )
        return rows[registration.attempt]

    async def refund(self, order_id: str, refund_reference: str) -> RefundEntry | None:
        self._answer()
        return self.refunds.get((order_id, refund_reference))

    async def enter_refund(self, refund: RefundEntry) -> tuple[RefundEntry, bool]:
        self._answer()
        name = (refund.order_id, refund.refund_reference)
        new = name not in self.refunds
        return self.refunds.setdefault(name, refund), new

    async def settle_refund(self, refund: RefundEntry, *, expected: Sequence[RefundState]) -> RefundEntry | None:
        self._answer()
        name = (refund.order_id, refund.refund_reference)
        stored = self.refunds.get(name)
        if stored is None or stored.state not in expected:
            return stored
        self.refunds[name] = replace(
            stored,
            state=refund.state,
            last_try_at=refund.last_try_at,
            refund_id=refund.refund_id,
            outcome_type=refund.outcome_type,
            outcome_body=refund.outcome_body,
            proof=refund.proof,
        )
        return self.refunds[name]

    async def positions(self) -> Mapping[TopicPartition, int]:
        self._answer()
        return dict(self.offsets)

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, Collection[int | None]]
    ) -> None:
        self._answer()
        if self.slow_seconds:
            await asyncio.sleep(self.slow_seconds)
        for name, next_offset in offsets.items():
            stored = self.offsets.get(name)
            if stored not in (*expected[name], next_offset):
                raise PositionMoved(f"{name}: {stored}, not {expected[name]}")
        self.offsets.update(offsets)

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable("away")
