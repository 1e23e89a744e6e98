"""The status processor's tables and its outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from payonce.domain.invoices import Invoice
from payonce.domain.movements import Movement
from payonce.ports.log import Record, TopicPartition


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order's row under its lock, and the database's clock.

    `version` is the last announced one (0: never), `public` the columns that an announcement shows, as written.
    """

    order_id: str
    facts: Mapping[str, Any]
    public: Mapping[str, Any]
    version: int
    clock_ms: int


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event's effect on an order, for people to read; never a filter."""

    event_id: str
    event_type: str
    occurred_at: int
    order_id: str
    position: tuple[str, int, int]
    effect: Literal["applied", "no_change", "ignored"]
    reason: str | None


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """A PSP event whose order is not known yet, with its raw record, waiting for any of its references."""

    event_id: str
    references: tuple[str, ...]
    record: Record


@dataclass(frozen=True, slots=True)
class Reference:
    """Whose a PSP id is: the order, and the payment within it where the id names one."""

    order_id: str
    payment: str | None


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What the fold writes for one order: merged facts, public columns, and the body to announce (None: nothing).

    `movements` and `invoices` are the order's rows beside it, those and no others; None: its facts never told of any,
    so there are none and nobody looks.
    """

    order_id: str
    facts: Mapping[str, Any]
    columns: Mapping[str, Any]
    version: int
    announcement: bytes | None
    movements: Sequence[Movement] | None = None
    invoices: Sequence[Invoice] | None = None


class FoldTransaction(Protocol):
    """One READ COMMITTED transaction of the fold. Calls in this order; every multi-row call sorts by key."""

    async def orders_of(self, references: Sequence[str]) -> Mapping[str, str]:
        """Return the order of each PSP id that is known."""
        ...

    async def lock(self, order_ids: Sequence[str]) -> Mapping[str, StoredOrder]:
        """Create missing rows, lock all in id order, return them."""
        ...

    async def parked_for(self, references: Sequence[str]) -> Sequence[ParkedEvent]:
        """Return the waiting events that name one of these PSP ids, and delete them in this transaction."""
        ...

    async def save(self, changes: Sequence[OrderChange], references: Mapping[str, Reference]) -> None:
        """Write facts, columns, money, PSP ids (the first owner stays), an outbox row per announcement; notify once.

        Of movements and invoices only rows that differ are written; those that are no more among them are deleted.
        """
        ...

    async def record(self, entries: Sequence[TimelineEntry]) -> None:
        """Append to the timeline; an entry that is there already is left as it is."""
        ...

    async def park(self, events: Sequence[ParkedEvent]) -> None:
        """Keep events whose order is unknown. Idempotent by event id."""
        ...

    async def resolvable(self, limit: int) -> Sequence[str]:
        """Return at most `limit` PSP ids that waiting events name and that are known by now.

        Empty while another process asks the same: one sweeps at a time, until its transaction ends.
        """
        ...

    async def drop_foreign(self, limit: int) -> int:
        """Delete at most `limit` waiting events about objects that the reconciler found foreign; return how many."""
        ...

    async def take_overdue(self, seconds: int, limit: int) -> Sequence[ParkedEvent]:
        """Return at most `limit` events that have waited so long in vain, and delete them in this transaction."""
        ...

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, int | None]
    ) -> None:
        """Store next offsets where the stored one is `expected` (None: no row). Raises PositionMoved."""
        ...


class FoldStore(Protocol):
    """The tables that status_processor writes."""

    def transaction(self) -> AbstractAsyncContextManager[FoldTransaction]:
        """Commit on a clean exit, roll back on any exception. Raises StoreUnavailable or StoreRejected."""
        ...

    async def positions(self) -> Mapping[TopicPartition, int]:
        """Return the stored next offsets of the fold."""
        ...


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A status change waiting to be published, in the order of `id`."""

    id: int
    order_id: str
    body: bytes


class Outbox(Protocol):
    """Status changes on their way to payments.status; one relay at a time, held by a session lock."""

    async def acquire(self) -> bool:
        """Try to become the one relay. Not blocking."""
        ...

    async def oldest(self, limit: int) -> Sequence[OutboxRow]:
        """Return the lowest ids. Raises StoreUnavailable (the lock is then lost)."""
        ...

    async def delete(self, ids: Sequence[int]) -> None:
        """Remove rows whose delivery report has come. Raises StoreUnavailable."""
        ...
