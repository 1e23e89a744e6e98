"""The invoices of an order's subscription, derived from its facts: one row of payment_invoice each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from payonce.domain.merge import Facts
from payonce.domain.payments import Payment

_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Invoice:
    """What one period of a subscription costs, and what became of it. Amounts in minor units, times in unix seconds.

    `period_start` and `period_end` are of the service that it bills, as far as that was told, else the invoice's own.
    What is None was not told. `attempts` counts the tries to collect it, `next_attempt_at` is when the PSP tries again.
    """

    invoice_id: str
    subscription: str | None
    status: str
    period_start: int | None
    period_end: int
    amount_due: int | None
    amount_paid: int
    currency: str | None
    attempts: int
    next_attempt_at: int | None
    billing_reason: str | None


def invoices_of(facts: Facts, payments: tuple[Payment, ...]) -> tuple[Invoice, ...]:
    """Return the invoices by period, drafts included."""
    invoices = facts.get("invoices", _NOTHING)
    if not invoices:
        return ()
    paid = {payment.payment: payment for payment in payments}
    found = (_invoice(invoice_id, known, paid.get(invoice_id)) for invoice_id, known in invoices.items())
    return tuple(sorted(found, key=lambda invoice: (invoice.period_end, invoice.invoice_id)))


def _invoice(invoice_id: str, known: Mapping[str, Any], payment: Payment | None) -> Invoice:
    """Read an invoice. One that is paid was paid what its payment says: the two can never differ."""
    rank, attempts, status = known["state"]
    told = known.get("told", ())
    # Amounts of an earlier state are no longer true; they are all there is of an invoice that an older program folded.
    is_current = told[:2] == [rank, attempts]
    end, start = known.get("service") or (known["period_end"], known.get("period_start"))
    amount_paid = told[2] if is_current else 0
    return Invoice(
        invoice_id=invoice_id,
        subscription=known.get("subscription"),
        status=status,
        period_start=start,
        period_end=end,
        amount_due=told[3] if told else None,
        amount_paid=payment.amount if status == "paid" and payment is not None else amount_paid,
        currency=known.get("currency") or (payment.currency if payment is not None else None),
        attempts=attempts,
        next_attempt_at=told[4] if is_current and status == "open" else None,
        billing_reason=known.get("billing_reason"),
    )
