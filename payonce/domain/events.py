"""Events: facts in the past tense. What the PSP worker learned, what Stripe announced, what we tell the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from payonce.domain.identity import name_based_id
from payonce.domain.terms import PaymentMethod, PaymentType, Psp

FailureReason = Literal["psp_refused", "stale", "expired_unused"]
StuckReason = Literal["unknown_outcome", "retries_exhausted"]
RejectionReason = Literal["body_mismatch", "attempt_out_of_order", "previous_unresolved", "order_used"]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What every outcome of a command names: the order, the attempt, the body and the command it answers."""

    order_id: str
    attempt: int
    body_hash: str
    command_id: str

    @property
    def event_id(self) -> str:
        return name_based_id("evt", self.order_id, self.command_id, type(self).__name__)


@dataclass(frozen=True, slots=True)
class TokenIssued(_Outcome):
    """The PSP has registered the attempt: `session_id` is the token, the page may be shown until `expires_at`."""

    psp: Psp
    session_id: str
    hosted_page_url: str | None
    client_secret: str | None
    expires_at: int
    psp_request_id: str | None


@dataclass(frozen=True, slots=True)
class RegistrationFailed(_Outcome):
    """It is proven that the attempt has no usable session; `proof` says how we know."""

    reason: FailureReason
    detail: str
    proof: str


@dataclass(frozen=True, slots=True)
class RegistrationStuck(_Outcome):
    """The outcome at the PSP is not known; nothing more is tried for this attempt until it is settled."""

    reason: StuckReason
    detail: str


@dataclass(frozen=True, slots=True)
class CommandRejected(_Outcome):
    """The command was not carried out and had no effect at the PSP."""

    reason: RejectionReason
    detail: str


@dataclass(frozen=True, slots=True)
class AttemptCancelled(_Outcome):
    """It is proven that nobody can pay the attempt any more, because its cancellation was asked for."""


@dataclass(frozen=True, slots=True)
class PspSnapshot(_Outcome):
    """The PSP's own objects of an order, read for the RefreshPayment at `refresh_offset`.

    `response_date` (unix seconds) is the PSP's. Facts whose values cycle at the PSP (a dispute under appeal, a paused
    subscription) are ordered by (`refresh_offset`, `response_date`, event id): the greatest wins.
    """

    refresh_offset: int
    response_date: int
    objects: tuple[Mapping[str, Any], ...]


TokenEvent = TokenIssued | RegistrationFailed | RegistrationStuck | CommandRejected | AttemptCancelled | PspSnapshot


@dataclass(frozen=True, slots=True)
class PspEvent:
    """A verified webhook of the PSP: `object` is its `data.object`, `created` (unix seconds) never decides anything."""

    event_id: str
    type: str
    created: int
    livemode: bool
    api_version: str | None
    object: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OrderStatusChanged:
    """The whole public state of an order, never a delta; of two, the one with the greater `version` is newer."""

    order_id: str
    version: int
    client_id: str
    reference: str
    payment_type: PaymentType
    payment_method: PaymentMethod
    psp: Psp
    payment_order_status: str
    attempt: int
    amount: int
    currency: str
    amount_paid: int
    amount_refunded: int
    amount_disputed: int
    flags: tuple[str, ...]
    changed_at: int

    @property
    def event_id(self) -> str:
        return name_based_id("evt", self.order_id, str(self.version), "OrderStatusChanged")
