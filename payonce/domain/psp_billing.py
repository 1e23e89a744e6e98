"""What a subscription, its invoices and what paid them say about an order, as facts.

An invoice is read in the shape of API versions before and after 2025-03-31. What comes and goes at the PSP (paused,
unpaid) is no fact of an event: snapshots tell it.
"""

from __future__ import annotations

from typing import Any, Final

from payonce.domain.facts import ENDED_STATUSES, INVOICE_RANK
from payonce.domain.learned import Learned, confirmed, named, present, received
from payonce.domain.psp_objects import PspObject, own_metadata

#: A subscription that an invoice or a session names lives, as far as these know.
LIVE: Final = [0, "live"]
_ENDED: Final = [1, "ended"]


def of_subscription(subscription: PspObject) -> Learned:
    """Read a subscription: whether it has ended, what is paid for until when, and whether it will then end."""
    own = own_metadata(subscription.part("metadata"))
    element = present(
        attempt=own.attempt,
        state=_ENDED if subscription.text("status") in ENDED_STATUSES else LIVE,
        period=_period(subscription),
    )
    facts: dict[str, Any] = {"subscriptions": {subscription.id: element}} | confirmed(own)
    return Learned(own.order_id, named(None, subscription.id), facts)


def _period(subscription: PspObject) -> list[int] | None:
    """Return [end of the current period, 1 if the subscription ends then else 0], None if no period is named.

    A later period is greater. Within one period an end that was announced stays: no event tells its withdrawal from an
    older event, and a shop that counts on money that will not come is worse off than one that is surprised by some.
    """
    items = [PspObject.of(item, "subscription_item") for item in subscription.part("items").items("data")]
    ends = [holder.optional_count("current_period_end") for holder in (subscription, *items)]
    latest = max((end for end in ends if end is not None), default=None)
    if latest is None:
        return None
    ends_at = subscription.optional_count("cancel_at")
    is_ending = subscription.fields.get("cancel_at_period_end") is True or (ends_at is not None and ends_at <= latest)
    return [latest, 1 if is_ending else 0]


def of_invoice(invoice: PspObject) -> Learned:
    """Read a subscription's invoice. Once paid it is a payment, and it names that payment."""
    details = invoice.part("parent").part("subscription_details")
    own = own_metadata(details.part("metadata"))
    if own.order_id is None:
        own = own_metadata(invoice.part("subscription_details").part("metadata"))
    subscription = details.reference("subscription") or invoice.reference("subscription")
    facts: dict[str, Any] = {"invoices": {invoice.id: _invoice(invoice, subscription)}} | confirmed(own)
    if subscription is not None:
        facts["subscriptions"] = {subscription: present(attempt=own.attempt, state=LIVE)}
    if invoice.text("status") == "paid":
        facts["payments"] = received(invoice.id, own, invoice.currency(), invoice.count("amount_paid"))
    links = _payers(invoice)
    if links:
        facts["links"] = dict.fromkeys(links, invoice.id)
    ids = named(invoice.id, invoice.id, *links) | named(None, subscription)
    return Learned(own.order_id, ids, facts)


def _invoice(invoice: PspObject, subscription: str | None) -> dict[str, Any]:
    """Return the invoice's element; its amounts are as true as its state, so they are ordered by it."""
    status = invoice.one_of("status", INVOICE_RANK)
    standing: list[Any] = [INVOICE_RANK[status], invoice.optional_count("attempt_count") or 0]
    paid, due = (invoice.optional_count(name) or 0 for name in ("amount_paid", "amount_due"))
    return present(
        state=[*standing, status],
        period_end=invoice.count("period_end"),
        period_start=invoice.optional_count("period_start"),
        subscription=subscription,
        told=[*standing, paid, due, invoice.optional_count("next_payment_attempt")],
        service=_service(invoice),
        currency=invoice.currency(),
        billing_reason=invoice.optional_text("billing_reason"),
    )


def _service(invoice: PspObject) -> list[int] | None:
    """Return [end, start] of what the invoice bills: its own period is the one before that."""
    periods = []
    for item in invoice.part("lines").items("data"):
        period = PspObject.of(item, "line_item").part("period")
        start, end = period.optional_count("start"), period.optional_count("end")
        if start is not None and end is not None:
            periods.append([end, start])
    return max(periods, default=None)


def _payers(invoice: PspObject) -> list[str]:
    """Return what paid it: fields of their own in older versions, a list of payments in newer."""
    payers = [invoice.reference("payment_intent"), invoice.reference("charge")]
    for item in invoice.part("payments").items("data"):
        payment = PspObject.of(item, "invoice_payment").part("payment")
        payers += [payment.reference("payment_intent"), payment.reference("charge")]
    return [payer for payer in payers if payer is not None]


def of_invoice_payment(link: PspObject) -> Learned:
    """Read the link between an invoice and what paid it: since 2025-03-31 the only one that is pushed."""
    invoice, payment = link.reference("invoice"), link.part("payment")
    payers = [
        payer for payer in (payment.reference("payment_intent"), payment.reference("charge")) if payer is not None
    ]
    facts = {"links": dict.fromkeys(payers, invoice)} if invoice is not None and payers else {}
    return Learned(None, named(invoice, invoice, *payers), facts)
