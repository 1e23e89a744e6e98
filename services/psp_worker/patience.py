"""Waiting for our own parts: PostgreSQL and the log are asked until they answer, while consumption is held.

The PSP is not waited for here: its answers are decisions (outcome.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

from payonce.ports import (
    Clock,
    Entered,
    Ledger,
    PublishFailed,
    RefundEntry,
    RefundState,
    Registration,
    RegistrationState,
    StoreUnavailable,
    TopicPartition,
)
from services.psp_worker.holds import Cause, Holds
from services.psp_worker.timing import backoff_seconds

T = TypeVar("T")


class Patience:
    """Repeats a harmless call while its failure is a known, passing one; holds consumption meanwhile."""

    def __init__(self, holds: Holds, clock: Clock, jitter: Callable[[], float]) -> None:
        self._holds = holds
        self._clock = clock
        self._jitter = jitter

    async def with_database(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the call's result, once PostgreSQL answers."""
        return await self._until_done(call, StoreUnavailable, "database")

    async def with_log(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the call's result, once the log has acknowledged."""
        return await self._until_done(call, PublishFailed, "log")

    async def _until_done(self, call: Callable[[], Awaitable[T]], passing: type[Exception], cause: Cause) -> T:
        try:
            return await call()
        except passing:
            with self._holds.holding(cause):
                return await self._again(call, passing)

    async def _again(self, call: Callable[[], Awaitable[T]], passing: type[Exception]) -> T:
        failures = 1
        while True:
            await self._clock.sleep(backoff_seconds(failures, self._jitter()))
            try:
                return await call()
            except passing:
                failures += 1


class PatientLedger:
    """The Ledger, whose entries, settlements and reads wait for PostgreSQL; `advance` comes round again anyway."""

    def __init__(self, ledger: Ledger, patience: Patience) -> None:
        self._ledger = ledger
        self._patience = patience

    async def rows(self, order_id: str) -> Mapping[int, Registration]:
        return await self._patience.with_database(lambda: self._ledger.rows(order_id))

    async def enter(self, registration: Registration) -> Entered:
        return await self._patience.with_database(lambda: self._ledger.enter(registration))

    async def settle(self, registration: Registration, *, expected: Sequence[RegistrationState]) -> Registration | None:
        return await self._patience.with_database(lambda: self._ledger.settle(registration, expected=expected))

    async def refund(self, order_id: str, refund_reference: str) -> RefundEntry | None:
        return await self._patience.with_database(lambda: self._ledger.refund(order_id, refund_reference))

    async def enter_refund(self, refund: RefundEntry) -> tuple[RefundEntry, bool]:
        return await self._patience.with_database(lambda: self._ledger.enter_refund(refund))

    async def settle_refund(self, refund: RefundEntry, *, expected: Sequence[RefundState]) -> RefundEntry | None:
        return await self._patience.with_database(lambda: self._ledger.settle_refund(refund, expected=expected))

    async def positions(self) -> Mapping[TopicPartition, int]:
        return await self._patience.with_database(self._ledger.positions)

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, Collection[int | None]]
    ) -> None:
        await self._ledger.advance(offsets, expected=expected)
