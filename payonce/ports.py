"""The doors to the outside, as the processes see them: log, gateway, ledger, fold store, clock.

Every effect goes through one of these, handed in by `app.py` or `__main__.py`; so the same loops run on the real
parts, on the fakes of the tests, and under a simulated scheduler. Adapters live in `payonce/adapters`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Headers = tuple[tuple[str, bytes], ...]

# ---------------------------------------------------------------------------------------------- log


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read from the log. `timestamp_ms` is the broker's or producer's, unix milliseconds."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int = 0

    @property
    def topic_partition(self) -> TopicPartition:
        """Where it lies."""
        return TopicPartition(self.topic, self.partition)

    def header(self, name: str) -> str | None:
        """Return the first header of that name as text (undecodable bytes replaced), or None."""
        for key, value in self.headers:
            if key == name:
                return value.decode("utf-8", "replace") if value is not None else None
        return None


class PublishFailed(Exception):
    """The record is not known to be written. It may still arrive: sending it again must be harmless."""


class LogProducer(Protocol):
    """Publishes records durably (acks of all in-sync replicas)."""

    async def publish(self, record: OutgoingRecord) -> None:
        """Return once the broker has acknowledged the record; raise PublishFailed otherwise. Repeating is harmless."""
        ...


# ------------------------------------------------------------------------------------------ gateway


@dataclass(frozen=True, slots=True)
class Session:
    """A registration at the PSP (Stripe: a Checkout Session)."""

    session_id: str
    status: Literal["open", "complete", "expired"]
    hosted_page_url: str | None
    client_secret: str | None
    expires_at: int
    metadata: Mapping[str, str]


FailureKind = Literal[
    "transient",  # connection, timeout, 409 in use, 5xx that is not a saved answer: the same key again
    "rate_limited",  # 429: the same key again, more slowly
    "permanent",  # 4xx: the request itself is refused
    "mismatch",  # the key was used with other parameters: an earlier call went through
    "replayed_failure",  # a saved 5xx came back: the outcome will not change by asking again
    "configuration",  # 401, 403: neither the order's fault nor the PSP's
]


class GatewayFailure(Exception):
    """The PSP gave no usable answer; `kind` says what that means, never what to do about it."""

    def __init__(
        self,
        kind: FailureKind,
        detail: str,
        *,
        http_status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind: FailureKind = kind
        self.detail = detail
        self.http_status = http_status
        self.code = code
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Registered:
    """The PSP's answer to a registration. `replayed`: it is the answer saved for the key at an earlier try."""

    session: Session
    request_id: str | None
    replayed: bool


class PaymentGateway(Protocol):
    """The PSP. One call is one HTTP request: no hidden retries, so that every request is a recorded try."""

    async def register(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Registered:
        """Create a session from a frozen request. Idempotent under its key. Raises GatewayFailure."""
        ...


# ------------------------------------------------------------------------------------------- ledger

RegistrationState = Literal["calling", "open", "unknown", "used", "expired", "cancelled", "rejected", "failed"]
#: At most one row per order may be in one of these: the database refuses a second payable session.
HOLDING_STATES: tuple[RegistrationState, ...] = ("calling", "open", "unknown", "used")


@dataclass(frozen=True, slots=True)
class Registration:
    """A row of the ledger: one attempt of one order; `request` is frozen by the first command. Times: unix seconds."""

    order_id: str
    attempt: int
    body_hash: str
    command_id: str
    idempotency_key: str
    api_version: str
    request: Mapping[str, Any]
    first_try_at: float
    last_try_at: float
    expires_at: int
    state: RegistrationState = "calling"
    session_id: str | None = None
    #: The outcome event as it was published (`Name.vN` and body), repeated when the command comes again.
    outcome_type: str | None = None
    outcome_body: bytes | None = None
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """What the ledger holds after an entry: every row of the order by attempt; `new` if ours was inserted."""

    rows: Mapping[int, Registration]
    new: bool


class Ledger(Protocol):
    """psp_worker's memory at the PSP, independent of how far the fold is. Only psp_worker writes it."""

    async def enter(self, registration: Registration) -> Entered:
        """Insert the row unless the attempt has one or another row of the order holds it; return what is there now.

        An attempt is inserted only if it is the order's highest + 1 (1 for a new order) and, where its own state is one
        of HOLDING_STATES, no other row of the order is in one. Idempotent. Raises StoreUnavailable when the database is
        away.
        """
        ...

    async def settle(self, registration: Registration, *, expected: Sequence[RegistrationState]) -> Registration | None:
        """Write state, session, outcome and proof if the row's state is one of `expected`; return the row as it is now.

        Compare-and-set: if the row has moved on it is returned unchanged; None means that the row is gone.
        """
        ...

    async def positions(self) -> Mapping[TopicPartition, int]:
        """Return the stored next offsets of this reader."""
        ...

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, int | None]
    ) -> None:
        """Store next offsets, each only where the stored one is `expected` (None: no row), or is this one already.

        Raises PositionMoved and stores none where one has another value; StoreUnavailable.
        """
        ...


class StoreUnavailable(Exception):
    """PostgreSQL is away or asks to try again (deadlock, timeout, ...): wait and repeat; nothing was written."""


class StoreRejected(Exception):
    """PostgreSQL refuses the data itself (SQLSTATE 22, 23): the same data will be refused again."""


class PositionMoved(Exception):
    """Another process has advanced this partition, or the database was restored meanwhile: this process must end."""


# --------------------------------------------------------------------------------------- fold store


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
    """What the fold writes for one order: merged facts, public columns, and the body to announce (None: nothing)."""

    order_id: str
    facts: Mapping[str, Any]
    columns: Mapping[str, Any]
    version: int
    announcement: bytes | None


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
        """Write facts, columns, PSP ids (the first owner stays), an outbox row per announcement; notify once."""
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


# --------------------------------------------------------------------------------------------- time


class Clock(Protocol):
    """Time, handed in so that it can be moved."""

    def now(self) -> float:
        """Return unix seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back and count suspension."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...
