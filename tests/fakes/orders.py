"""The commands that follow a registration, to try things with."""

from __future__ import annotations

from payonce.domain.commands import CancelPayment, CancelSubscription, RefreshPayment, RefundPayment, SubscriptionEnd
from payonce.domain.terms import order_id_of
from tests.fakes.clock import START

API_VERSION = "2026-10-28.endive"


def cancel(reference: str = "A-1", *, attempt: int = 1, issued_at: int = int(START)) -> CancelPayment:
    """Return a cancellation of the order that `registrations.register` makes of this reference."""
    return CancelPayment(order_id_of("shop", reference), attempt, issued_at)


def refund(
    reference: str = "A-1",
    *,
    refund_reference: str = "back-1",
    payment: str | None = None,
    amount: int | None = None,
    reason: str | None = None,
    issued_at: int = int(START),
) -> RefundPayment:
    """Return a refund of that order."""
    return RefundPayment(
        order_id=order_id_of("shop", reference),
        refund_reference=refund_reference,
        payment=payment,
        amount=amount,
        reason=reason,
        issued_at=issued_at,
        api_version=API_VERSION,
    )


def cancel_subscription(
    reference: str = "A-1",
    *,
    subscription: str = "sub_cs_test_1",
    at: SubscriptionEnd = "now",
    issued_at: int = int(START),
) -> CancelSubscription:
    """Return the end of a subscription of that order: of the first one that the PSP in memory makes."""
    return CancelSubscription(order_id_of("shop", reference), subscription, at, issued_at, API_VERSION)


def refresh(
    reference: str = "A-1", *, refresh_id: str = "rfr_1", psp_ids: tuple[str, ...] = (), issued_at: int = int(START)
) -> RefreshPayment:
    """Return a refresh of that order."""
    return RefreshPayment(
        order_id=order_id_of("shop", reference),
        refresh_id=refresh_id,
        psp_ids=psp_ids,
        reason="a test",
        issued_at=issued_at,
        api_version=API_VERSION,
    )
