"""An order as its readers meet it: a row of payment_order, whole or partly known. What facts mean is `order`'s."""

from __future__ import annotations

from dataclasses import dataclass

from payonce.domain.terms import Recurring

#: Statuses in which nothing is decided yet: the customer has not begun to pay, as far as we know.
UNDECIDED_STATUSES = frozenset({"created", "registered"})


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One row of payment_order. Amounts in minor units, times in unix seconds.

    An event may come before its command, so the client's own fields (and their hash) are None until they are known.
    `hosted_page_url` and `client_secret` belong to the session `psp_token` of the latest `attempt` and are None once it
    has closed.
    """

    order_id: str
    status: str
    attempt: int
    version: int
    created_at: int
    updated_at: int
    client_id: str | None = None
    reference: str | None = None
    body_hash: str | None = None
    payment_type: str | None = None
    payment_method: str | None = None
    psp: str | None = None
    amount: int | None = None
    currency: str | None = None
    redirect_url: str | None = None
    description: str | None = None
    customer_email: str | None = None
    recurring: Recurring | None = None
    psp_token: str | None = None
    hosted_page_url: str | None = None
    client_secret: str | None = None
    page_expires_at: int | None = None
    amount_paid: int = 0
    amount_refunded: int = 0
    amount_disputed: int = 0
    failure_reason: str | None = None
    failure_detail: str | None = None
    flags: tuple[str, ...] = ()
    evidence_due_by: int | None = None
    current_period_end: int | None = None
    cancel_at_period_end: bool | None = None
    next_payment_attempt: int | None = None

    @property
    def amount_net(self) -> int:
        """What is left of the money; negative if more went back than came."""
        return self.amount_paid - self.amount_refunded - self.amount_disputed

    def open_page(self, body_hash: str, now: float) -> str | None:
        """Return the hosted page, only to the one who posted this body, and only while its session can be paid."""
        return self.hosted_page_url if self._can_be_paid(body_hash, now) else None

    def open_secret(self, body_hash: str, now: float) -> str | None:
        """Return what opens the PSP's card fields on the shop's own page, as the hosted page is returned."""
        return self.client_secret if self._can_be_paid(body_hash, now) else None

    def _can_be_paid(self, body_hash: str, now: float) -> bool:
        if self.body_hash != body_hash or self.status != "registered" or self.psp_token is None:
            return False
        return self.page_expires_at is None or self.page_expires_at > now
