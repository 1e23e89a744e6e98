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


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """How far a task is done: all that was due up to `until` (unix seconds), and of the second after it up to `name`.

    So the task can stop between any two things, however many are due in one second.
    """

    until: int
    name: str = ""

    @classmethod
    def at(cls, due_at: int, name: str) -> Mark:
        """Return the mark of a task that has just done this."""
        return cls(due_at - 1, name)

    def leaves(self, due_at: int, name: str) -> bool:
        """Return whether this is still to be done."""
        return due_at > self.until + 1 or (due_at == self.until + 1 and name > self.name)


@dataclass(frozen=True, slots=True)
class DueRule:
    """At which ages (seconds) an order is asked after, for a reason. Each reason's ages have a beginning of their own.

    A status: since the order is in it. `expiry`: since the page's, or what its attempt was given. `late_born`: since
    the last try of an attempt of which no session is known, and that is not proven to have none. `appealed`: since the
    row last changed of an order with an appeal whose decision no answer of the PSP has shown. `lost_again`: since the
    order is charged back of which an appeal was told.

    `then_every`: after the last age, again every so many seconds for as long as the reason lasts.
    """

    reason: str
    ages: tuple[int, ...]
    then_every: int | None = None


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

    async def watermark(self, task: str) -> Mark | None:
        """Return how far the task is done, None if it never was."""
        ...

    async def advance(self, task: str, mark: Mark) -> None:
        """Store that the task is done up to there."""
        ...

    async def unknown_events(self, events: Mapping[str, int]) -> set[str]:
        """Return those of the events (id -> created) that are neither folded nor waiting."""
        ...

    async def due_orders(self, rules: Sequence[DueRule], *, after: Mark, until: int, limit: int) -> Sequence[DueOrder]:
        """Return at most `limit` orders that became due after the mark and up to `until`.

        Each once, at its latest time; ordered by that, then by id. Their disputes are among their PSP ids.
        """
        ...

    async def due_waiting(
        self, ages: Sequence[int], *, after: Mark, until: int, limit: int, payments: bool
    ) -> Sequence[WaitingEvent]:
        """Return at most `limit` waiting events that reached one of these ages (seconds), as `due_orders` does.

        `payments`: those that name nothing but a payment (`domain.belonging`), else the others.
        """
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
