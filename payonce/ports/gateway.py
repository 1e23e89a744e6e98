"""The PSP: what is asked of it and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from payonce.domain.commands import SubscriptionEnd


@dataclass(frozen=True, slots=True)
class Session:
    """A registration at the PSP (Stripe: a Checkout Session). `created`, `expires_at`: unix seconds."""

    session_id: str
    status: Literal["open", "complete", "expired"]
    hosted_page_url: str | None
    client_secret: str | None
    expires_at: int
    metadata: Mapping[str, str]
    created: int = 0
    payment_status: Literal["paid", "unpaid", "no_payment_required"] = "unpaid"
    payment_intent: str | None = None
    #: Known only where the session was asked for by its id.
    payment_intent_status: str | None = None


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


@dataclass(frozen=True, slots=True)
class Reading:
    """An object of the PSP as it is; `date` is the PSP's clock at that moment (unix seconds, 0 if it did not say)."""

    data: Mapping[str, Any]
    date: int


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """Some of a list's objects, newest first; `next_after` names where the next page begins, None at the end."""

    objects: Sequence[Mapping[str, Any]]
    next_after: str | None
    date: int


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Those sessions of a page that carry metadata of ours, newest first.

    `oldest_created` (unix seconds) is of the page's every session, None if it is empty; `next_after` as in ObjectPage.
    """

    sessions: Sequence[Session]
    next_after: str | None
    oldest_created: int | None


#: What hangs on a payment, listed by its PaymentIntent.
AttachedKind = Literal["refund", "dispute"]


class PaymentGateway(Protocol):
    """The PSP. One call is one HTTP request: no hidden retries, so that every request is a recorded try.

    Every call raises GatewayFailure. The first four change something, the others only ask.
    """

    async def register(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Registered:
        """Create a session from a frozen request. Idempotent under its key."""
        ...

    async def expire(self, session_id: str, *, idempotency_key: str, api_version: str) -> Session:
        """Close an open session for good and return it. Refused (permanent) if it is not open."""
        ...

    async def refund(self, request: Mapping[str, Any], *, idempotency_key: str, api_version: str) -> Reading:
        """Pay back as a frozen request says and return the refund. Idempotent under its key."""
        ...

    async def cancel_subscription(
        self,
        subscription: str,
        *,
        at: SubscriptionEnd,
        metadata: Mapping[str, str],
        idempotency_key: str,
        api_version: str,
    ) -> Reading:
        """End a subscription, now or when what is paid for is over, and return it. Refused (permanent) if it has ended.

        `metadata` is added to that of a subscription that lives on till then. Repeating it is harmless under any key.
        """
        ...

    async def session(self, session_id: str, *, api_version: str) -> Session:
        """Return the session as it is now, with the state of its PaymentIntent."""
        ...

    async def sessions_created(
        self, *, created_from: int, created_until: int, after: str | None, api_version: str
    ) -> SessionPage:
        """Return a page of the sessions created in [from, until] (unix seconds), older than the session `after`."""
        ...

    async def attached(
        self, kind: AttachedKind, payment_intent: str, *, after: str | None, api_version: str
    ) -> ObjectPage:
        """Return a page of a payment's refunds or disputes, older than the object `after`."""
        ...

    async def invoice_payments(self, psp_id: str, *, api_version: str) -> ObjectPage:
        """Return the links between an invoice and the PaymentIntents that paid it, by the id of either: one page."""
        ...

    async def object(self, psp_id: str, *, api_version: str) -> Reading | None:
        """Return the object of that id; None if there is none, or no way to ask for one of its kind."""
        ...

    async def canary(self, *, api_version: str) -> None:
        """Ask for something harmless: return if the PSP answers and accepts our credentials."""
        ...
