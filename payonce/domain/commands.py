"""Commands: instructions to the PSP worker, imperative. Facts are in `events`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from payonce.domain.identity import name_based_id
from payonce.domain.terms import Terms

#: When a subscription ends: at once, or when what is paid for is over.
SubscriptionEnd = Literal["now", "period_end"]


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
    #: The command that this one replaces after ops have amended it; None for a client's own.
    amends: str | None = None

    @property
    def command_id(self) -> str:
        """The same (order, attempt, body) is the same command, however often it is sent."""
        return name_based_id("cmd", self.order_id, "RegisterPayment", str(self.attempt), self.body_hash)


@dataclass(frozen=True, slots=True)
class CancelPayment:
    """See to it that nobody can pay this attempt any more; an attempt that is not registered yet never will be."""

    order_id: str
    attempt: int
    issued_at: int

    @property
    def command_id(self) -> str:
        return name_based_id("cmd", self.order_id, "CancelPayment", str(self.attempt))


@dataclass(frozen=True, slots=True)
class RefundPayment:
    """Pay money back, once per `refund_reference` (the client's own). `amount` None: all that is left.

    `payment` names the PSP's payment where the order has several. `amount` counts the currency's minor unit.
    """

    order_id: str
    refund_reference: str
    payment: str | None
    amount: int | None
    reason: str | None
    issued_at: int
    api_version: str

    @property
    def command_id(self) -> str:
        terms = (self.refund_reference, self.payment or "", "" if self.amount is None else str(self.amount))
        return name_based_id("cmd", self.order_id, "RefundPayment", *terms)


@dataclass(frozen=True, slots=True)
class CancelSubscription:
    """End a subscription of the order, named by the PSP's id; one that has ended, or is about to, is left as it is."""

    order_id: str
    subscription: str
    at: SubscriptionEnd
    issued_at: int
    api_version: str

    @property
    def command_id(self) -> str:
        return name_based_id("cmd", self.order_id, "CancelSubscription", self.subscription, self.at)


@dataclass(frozen=True, slots=True)
class RefreshPayment:
    """Read the order at the PSP and say what is there; `refresh_id` makes each asking a command of its own.

    `psp_ids` are PSP objects that are thought to be the order's; `reason` says who asks and why, for the timeline.
    """

    order_id: str
    refresh_id: str
    psp_ids: tuple[str, ...]
    reason: str
    issued_at: int
    api_version: str

    @property
    def command_id(self) -> str:
        return name_based_id("cmd", self.order_id, "RefreshPayment", self.refresh_id)


Command = RegisterPayment | CancelPayment | RefundPayment | CancelSubscription | RefreshPayment
