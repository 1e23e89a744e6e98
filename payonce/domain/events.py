"""Events: facts in the past tense. What the PSP worker learned, what Stripe announced, what we tell the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from payonce.domain.commands import SubscriptionEnd
from payonce.domain.identity import name_based_id
from payonce.domain.terms import PaymentMethod, PaymentType, Psp

FailureReason = Literal[
    "psp_refused",  # the PSP refused the first request with this key
    "stale",  # the frozen expires_at came too near before anything was sent
    "not_found",  # a scan that began long enough after the last try found no session
]
StuckReason = Literal["unknown_outcome", "retries_exhausted"]
RejectionReason = Literal[
    "body_mismatch",  # another body holds this attempt, or this refund reference
    "attempt_out_of_order",  # attempts are numbered without gaps
    "previous_unresolved",  # an earlier attempt may still be paid
    "order_used",  # an earlier attempt is paid or being paid
    "unknown_attempt",  # no such attempt to cancel
    "unknown_subscription",  # the PSP has no such subscription that names this order
]
RefundRefusal = Literal["psp_refused", "no_payment", "amount_too_large", "failed_proven", "reference_reused"]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What every outcome names: the order and the command that it answers."""

    order_id: str
    command_id: str

    @property
    def event_id(self) -> str:
        return name_based_id("evt", self.order_id, self.command_id, type(self).__name__)


@dataclass(frozen=True, slots=True)
class _RegistrationOutcome(_Outcome):
    """The outcome of a RegisterPayment: its attempt and its body, too."""

    attempt: int
    body_hash: str


@dataclass(frozen=True, slots=True)
class TokenIssued(_RegistrationOutcome):
    """The PSP has registered the attempt: `session_id` is the token, the page may be shown until `expires_at`."""

    psp: Psp
    session_id: str
    hosted_page_url: str | None
    client_secret: str | None
    expires_at: int
    psp_request_id: str | None


@dataclass(frozen=True, slots=True)
class RegistrationFailed(_RegistrationOutcome):
    """It is proven that the attempt has no usable session; `proof` says how we know."""

    reason: FailureReason
    detail: str
    proof: str


@dataclass(frozen=True, slots=True)
class RegistrationStuck(_RegistrationOutcome):
    """The outcome at the PSP is not known; nothing more is tried for this attempt until it is settled."""

    reason: StuckReason
    detail: str


@dataclass(frozen=True, slots=True)
class CommandRejected(_Outcome):
    """The command was not carried out and had no effect at the PSP. `body_hash` only of a rejected registration."""

    command_type: str
    attempt: int | None
    body_hash: str | None
    reason: RejectionReason
    detail: str


@dataclass(frozen=True, slots=True)
class AttemptCancelled(_Outcome):
    """It is proven that nobody can pay the attempt any more, because its cancellation was asked for."""

    attempt: int
    proof: str


@dataclass(frozen=True, slots=True)
class RefundAccepted(_Outcome):
    """The PSP has taken the refund on; `status` is the PSP's at that moment, its webhooks tell the rest."""

    refund_reference: str
    refund_id: str
    payment: str
    amount: int
    currency: str
    status: str


@dataclass(frozen=True, slots=True)
class RefundRejected(_Outcome):
    """It is proven that this refund moved no money."""

    refund_reference: str
    reason: RefundRefusal
    detail: str


@dataclass(frozen=True, slots=True)
class SubscriptionCancelAccepted(_Outcome):
    """The PSP ends the subscription, or has; `status` is the PSP's at that moment, its webhooks tell the rest.

    `ends_at` (unix seconds): when it ends or ended, None if the PSP did not say.
    """

    subscription: str
    at: SubscriptionEnd
    status: str
    ends_at: int | None


@dataclass(frozen=True, slots=True)
class PspSnapshot(_Outcome):
    """The PSP's own objects of an order, read for the RefreshPayment at `refresh_offset` (its place in the log).

    `response_date` (unix seconds) is the PSP's. Facts whose values cycle at the PSP (a dispute under appeal, a paused
    subscription) are ordered by (`refresh_offset`, `response_date`, event id): the greatest wins.
    """

    refresh_offset: int
    response_date: int
    objects: tuple[Mapping[str, Any], ...]


TokenEvent = (
    TokenIssued
    | RegistrationFailed
    | RegistrationStuck
    | CommandRejected
    | AttemptCancelled
    | RefundAccepted
    | RefundRejected
    | SubscriptionCancelAccepted
    | PspSnapshot
)


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
    """The whole public state of an order, never a delta; of two, the one with the greater `version` is newer.

    What is left of the money is `amount_paid - amount_refunded - amount_disputed`. A field that is None is not written:
    no failure, no dispute that waits for evidence, no live subscription, nothing to be collected again.
    """

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
    failure_reason: str | None = None
    evidence_due_by: int | None = None
    current_period_end: int | None = None
    cancel_at_period_end: bool | None = None
    next_payment_attempt: int | None = None

    @property
    def event_id(self) -> str:
        return name_based_id("evt", self.order_id, str(self.version), "OrderStatusChanged")
