"""The PSP: what is asked of it and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol


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
