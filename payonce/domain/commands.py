"""Commands: instructions to the PSP worker, imperative. Facts are in `events`."""

from __future__ import annotations

from dataclasses import dataclass

from payonce.domain.identity import name_based_id
from payonce.domain.terms import Terms


@dataclass(frozen=True, slots=True)
class RegisterPayment:
    """Register one attempt of an order with the PSP.

    Everything the PSP request needs is frozen here, so that a retry sends the same bytes: `expires_at` (unix seconds,
    less than 24 h after `issued_at`), the finished URLs, the PSP's API version.
    """

    order_id: str
    attempt: int
    terms: Terms
    body_hash: str
    issued_at: int
    expires_at: int
    success_url: str
    cancel_url: str
    api_version: str

    @property
    def command_id(self) -> str:
        """The same (order, attempt, body) is the same command, however often it is sent."""
        return name_based_id("cmd", self.order_id, "RegisterPayment", str(self.attempt), self.body_hash)


Command = RegisterPayment
