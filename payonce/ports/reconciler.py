"""What the reconciler asks the PSP and the database, and the little that it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some of the PSP's events, newest first: each the bytes that the PSP gives for it, untouched."""

    events: Sequence[bytes]
    has_more: bool


class PspReads(Protocol):
    """Questions to the PSP: each call is one HTTP request that changes nothing. All raise GatewayFailure."""

    async def events(
        self,
        types: Sequence[str],
        *,
        created_from: int,
        created_until: int | None = None,
        starting_after: str | None = None,
        undelivered_only: bool = False,
    ) -> EventPage:
        """Return a page of events created in [from, until) (unix seconds), older than the event `starting_after`.

        At most 20 types. `undelivered_only`: those that some endpoint has not taken.
        """
        ...

    async def object(self, psp_id: str) -> Mapping[str, Any] | None:
        """Return the object of that id; None if there is none, or no way to ask for one of its kind."""
        ...

    async def sessions_of(self, payment_intent: str) -> Sequence[Mapping[str, Any]]:
        """Return the sessions that this payment belongs to."""
        ...

    async def invoices_of(self, payment_intent: str) -> Sequence[str]:
        """Return the ids of the invoices that this payment pays."""
        ...


@dataclass(frozen=True, slots=True)
class DueRule:
    """When an order that stays in `status` is asked after: so many seconds after its row last changed."""

    status: str
    ages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DueOrder:
    """An order that the PSP should be asked about since `due_at` (unix seconds)."""

    order_id: str
    due_at: int
    reason: str
    psp_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingEvent:
    """An event whose order nobody knows, to be looked up since `due_at` (unix seconds)."""

    event_id: str
    references: tuple[str, ...]
    due_at: int


@dataclass(frozen=True, slots=True)
class StatusAge:
    """How many orders are in a status, since when the oldest of them (unix seconds), and how many for too long."""

    status: str
    orders: int
    oldest_since: int
    stuck: int


class ReconcilerStore(Protocol):
    """The reconciler's tables, and what it reads of others'.

    All raise StoreUnavailable; but for `acquire`, also when the lock is lost, and then nothing is written.
    """

    async def acquire(self) -> bool:
        """Try to become the one reconciler, or find out that we still are. Not blocking."""
        ...

    async def watermark(self, task: str) -> int | None:
        """Return how far (unix seconds) the task is done, None if it never was."""
        ...

    async def advance(self, task: str, until: int) -> None:
        """Store that the task is done up to there."""
        ...

    async def unknown_events(self, events: Mapping[str, int]) -> set[str]:
        """Return those of the events (id -> created) that are neither folded nor waiting."""
        ...

    async def due_orders(self, rules: Sequence[DueRule], *, after: int, until: int, limit: int) -> Sequence[DueOrder]:
        """Return orders that became due in (after, until], each once at its latest time, ordered by that.

        `limit` is exceeded only so as not to part orders that are due at the same second.
        """
        ...

    async def due_waiting(self, ages: Sequence[int], *, after: int, until: int, limit: int) -> Sequence[WaitingEvent]:
        """Return waiting events that reached one of these ages (seconds) in (after, until]; limited as `due_orders`."""
        ...

    async def remember_foreign(self, psp_ids: Sequence[str]) -> None:
        """Note that these objects are not ours. Idempotent."""
        ...

    async def ages(self, stuck_after: Mapping[str, int]) -> Sequence[StatusAge]:
        """Return how long orders have been in each of these statuses; longer than so many seconds is stuck."""
        ...


# ------------------------------------------------------------------------------------------ its report


@dataclass(frozen=True, slots=True)
class TouchedOrder:
    """An order whose row changed lately, with every session that ledger or row knows. Amounts in minor units."""

    order_id: str
    status: str
    amount_paid: int
    amount_refunded: int
    facts: Mapping[str, Any]
    session_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StuckOrder:
    """An order that has been in a status since then (unix seconds), longer than it should be."""

    order_id: str
    status: str
    since: int


class ReconcilerReport(Protocol):
    """What the drift report reads. Raises StoreUnavailable."""

    async def touched(self, *, since: int, after: str, limit: int) -> Sequence[TouchedOrder]:
        """Return orders changed since then (unix seconds), by id, those after the given one."""
        ...

    async def stuck(self, stuck_after: Mapping[str, int], *, limit: int) -> Sequence[StuckOrder]:
        """Return orders longer in these statuses than so many seconds, the oldest first."""
        ...
