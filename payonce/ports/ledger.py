"""psp_worker's memory of what it asked the PSP."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from payonce.ports.log import TopicPartition

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


RefundState = Literal["calling", "unknown", "accepted", "rejected"]


@dataclass(frozen=True, slots=True)
class RefundEntry:
    """A row of the ledger: one refund reference of one order, with the terms and the request of its first command.

    `payment` is what the command named, `payment_intent` what is refunded (None: nothing can be). Times: unix seconds.
    """

    order_id: str
    refund_reference: str
    command_id: str
    payment: str | None
    amount: int | None
    payment_intent: str | None
    idempotency_key: str
    api_version: str
    request: Mapping[str, Any]
    first_try_at: float
    last_try_at: float
    state: RefundState = "calling"
    refund_id: str | None = None
    #: As in Registration; a row that is calling or unknown has none.
    outcome_type: str | None = None
    outcome_body: bytes | None = None
    proof: str | None = None


class Ledger(Protocol):
    """psp_worker's memory at the PSP, independent of how far the fold is. Only psp_worker writes it."""

    async def rows(self, order_id: str) -> Mapping[int, Registration]:
        """Return every registration of the order by attempt. Raises StoreUnavailable, as all methods do."""
        ...

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

    async def refund(self, order_id: str, refund_reference: str) -> RefundEntry | None:
        """Return the refund of that reference."""
        ...

    async def enter_refund(self, refund: RefundEntry) -> tuple[RefundEntry, bool]:
        """Insert the row unless its reference has one; return what is there now, and whether ours was inserted."""
        ...

    async def settle_refund(self, refund: RefundEntry, *, expected: Sequence[RefundState]) -> RefundEntry | None:
        """Write state, last try, refund id, outcome and proof, compare-and-set as `settle` does."""
        ...

    async def positions(self) -> Mapping[TopicPartition, int]:
        """Return the stored next offsets of this reader."""
        ...

    async def advance(
        self, offsets: Mapping[TopicPartition, int], *, expected: Mapping[TopicPartition, Collection[int | None]]
    ) -> None:
        """Store next offsets, each only where the stored one is `expected` (None: no row), or is this one already.

        More than one is expected after an answer was lost: nobody knows whether that transaction has ended. Raises
        PositionMoved and stores none where one has another value; StoreUnavailable.
        """
        ...
