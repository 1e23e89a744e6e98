"""Commands to try things with."""

from __future__ import annotations

from payonce.domain.commands import RegisterPayment
from payonce.domain.terms import Recurring, Terms, body_hash_of, order_id_of
from tests.fakes.clock import START


def register(
    reference: str = "A-1",
    *,
    attempt: int = 1,
    amount: int = 1999,
    issued_at: int = int(START),
    life_seconds: int = 2 * 3600,
    payment_method: str = "APM",
    customer_email: str | None = None,
    description: str | None = None,
    recurring: Recurring | None = None,
) -> RegisterPayment:
    """Return a valid command, a subscription's if it says how often; equal arguments give equal commands."""
    terms = Terms(
        client_id="shop",
        reference=reference,
        amount=amount,
        currency="eur",
        payment_type="SALE" if recurring is None else "RECC",
        payment_method="CARD" if payment_method == "CARD" else "APM",
        psp="stripe",
        redirect_url="https://shop.example/done",
        description=description,
        customer_email=customer_email,
        recurring=recurring,
    )
    order_id = order_id_of("shop", reference)
    return RegisterPayment(
        order_id=order_id,
        attempt=attempt,
        terms=terms,
        body_hash=body_hash_of(terms),
        issued_at=issued_at,
        expires_at=issued_at + life_seconds,
        success_url=f"https://pay.example/return/{order_id}?t=x",
        cancel_url=f"https://pay.example/return/{order_id}?t=x&via=cancel",
        api_version="2026-10-28.endive",
    )
