"""The Ledger port in memory, held to the same suite as the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from payonce.ports import (
    HOLDING_STATES,
    Entered,
    PositionMoved,
    Registration,
    RegistrationState,
    StoreUnavailable,
    TopicPartition,
)


class MemoryLedger:
    """Keeps rows in a dict; `away` makes every call fail as a database that is down."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, Registration]] = {}
        self.offsets: dict[TopicPartition, int] = {}
        self.away = False

    async def enter(self, registration: Registration) -> Entered:
        self._answer()
        rows = self.rows.setdefault(registration.order_id, {})
        is_next = registration.attempt == max(rows, default=0) + 1
        is_held = any(row.state in HOLDING_STATES for row in rows.values())
        new = is_next and not (registration.state in HOLDING_STATES and is_held)
        if new:
            rows[registration.attempt] = registration
        return Entered(rows=dict(rows), new=new)

    async def settle(self, registration: Registration, *, expected: Sequence[RegistrationState]) -> Registration | None:
        self._answer()
        rows = self.rows.get(registration.order_id, {})
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

    async def positions(self) -> Mapping[TopicPartition, int]:
        self._answer()
        return dict(self.offsets)

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, int | None]
    ) -> None:
        self._answer()
        for name, next_offset in offsets.items():
            stored = self.offsets.get(name)
            if stored not in (expected[name], next_offset):
                raise PositionMoved(f"{name}: {stored}, not {expected[name]}")
        self.offsets.update(offsets)

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable("away")
