"""What each kind of PSP object says about an order, as facts; and what it is called, as references.

Nothing here knows which message brought the object, except a session's verdict on a delayed method. Amounts that the
PSP adds up (`charge.amount_refunded`) are ignored: they can go down. A payment is named by its PaymentIntent, for a
subscription by its invoice, and by the session where nothing was due; `links` lead every other id to that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from payonce.domain.facts import (
    DISPUTE_RANK,
    ENDED_STATUSES,
    INVOICE_RANK,
    REFUND_RANK,
    SESSION_RANK,
    session_state,
    sum_key,
)
from payonce.domain.merge import Facts
from payonce.domain.psp_objects import OwnMetadata, PspObject, own_metadata

#: ISO 4217's code for transactions without a currency: a session with nothing due need not have one.
_NO_CURRENCY: Final = "xxx"
_PAYMENT_STATUSES: Final = {"unpaid": 0, "paid": 1, "no_payment_required": 1}


@dataclass(frozen=True, slots=True)
class Learned:
    """An object's own order id if it names one of ours, every PSP id in it with its payment, and the facts."""

    order_id: str | None
    references: Mapping[str, str | None]
    facts: Facts = field(default_factory=dict)


def _known(**values: Any) -> dict[str, Any]:
    """Keep what is known: an absent key says less than a null one would."""
    return {name: value for name, value in values.items() if value is not None}


def _references(payment: str | None, *ids: str | None) -> dict[str, str | None]:
    return dict.fromkeys((psp_id for psp_id in ids if psp_id is not None), payment)


def _confirmed(own: OwnMetadata) -> dict[str, Any]:
    if own.attempt is None or own.body_hash is None:
        return {}
    return {"confirmed": {str(own.attempt): {own.body_hash: 1}}}


def _payment(payment: str, own: OwnMetadata, currency: str, amount: int) -> dict[str, Any]:
    return {payment: _known(attempt=own.attempt) | {"sums": {sum_key(currency, amount): 1}}}


def of_session(session: PspObject, *, status: str | None = None, verdict: str | None = None) -> Learned:
    """Read a Checkout Session; its event says `status` and, of a delayed method, the `verdict` ("paid" or "failed")."""
    own = own_metadata(session.part("metadata"))
    status = status or session.one_of("status", SESSION_RANK)
    settled = session.one_of("payment_status", _PAYMENT_STATUSES)
    intent, invoice, subscription = (session.reference(name) for name in ("payment_intent", "invoice", "subscription"))
    payment = intent or invoice or session.id
    state = session_state(
        status,
        session.optional_text("url"),
        session.optional_text("client_secret"),
        session.optional_count("expires_at"),
    )
    facts: dict[str, Any] = {"sessions": {session.id: _known(attempt=own.attempt) | {"state": state}}} | _confirmed(own)
    if payment != session.id:
        facts["links"] = {session.id: payment}
    if subscription is not None:
        facts["subscriptions"] = {subscription: _known(attempt=own.attempt) | {"state": [0, "live"]}}
    if status == "complete" and (settled != "unpaid" or verdict == "paid"):
        facts["payments"] = _payment(payment, own, *_session_sum(session, settled))
    if verdict == "failed":
        facts["async_failed"] = {session.id: 1}
    known = None if payment == session.id and "payments" not in facts else payment
    references = _references(known, session.id, intent, invoice) | _references(None, subscription)
    return Learned(own.order_id, references, facts)


def _session_sum(session: PspObject, settled: str) -> tuple[str, int]:
    if settled != "no_payment_required":
        return session.currency(), session.count("amount_total")
    currency = session.currency() if session.optional_text("currency") else _NO_CURRENCY
    return currency, session.optional_count("amount_total") or 0


def of_payment_intent(intent: PspObject) -> Learned:
    """Read a PaymentIntent. One without our metadata belongs to an invoice, and the invoice is the payment."""
    own = own_metadata(intent.part("metadata"))
    charge = intent.reference("latest_charge")
    payment = intent.id if own.order_id is not None else None
    references = _references(payment, intent.id, charge)
    if intent.text("status") != "succeeded":
        return Learned(own.order_id, references)
    facts: dict[str, Any] = {} if charge is None else {"links": {charge: intent.id}}
    if own.order_id is not None:
        sums = _payment(intent.id, own, intent.currency(), intent.count("amount_received"))
        facts |= {"payments": sums} | _confirmed(own)
    return Learned(own.order_id, references, facts)


def of_charge(charge: PspObject) -> Learned:
    """Read a charge: only whose PaymentIntent it is. A charge is no second payment beside its PaymentIntent."""
    own = own_metadata(charge.part("metadata"))
    intent = charge.reference("payment_intent")
    references = _references(intent if own.order_id is not None else None, charge.id, intent)
    return Learned(own.order_id, references, {} if intent is None else {"links": {charge.id: intent}})


def of_refund(refund: PspObject) -> Learned:
    """Read a refund: the greatest of (rank, status, amount) is its state."""
    intent, charge = refund.reference("payment_intent"), refund.reference("charge")
    status = refund.one_of("status", REFUND_RANK)
    state = [REFUND_RANK[status], status, refund.count("amount")]
    return _of_reversal("refunds", refund, intent, charge, state)


def of_dispute(dispute: PspObject) -> Learned:
    """Read a dispute: the more balance transactions, the later; then by rank."""
    intent, charge = dispute.reference("payment_intent"), dispute.reference("charge")
    status = dispute.one_of("status", DISPUTE_RANK)
    moves = len(dispute.items("balance_transactions"))
    state = [moves, DISPUTE_RANK[status], status, dispute.count("amount")]
    return _of_reversal("disputes", dispute, intent, charge, state)


def _of_reversal(family: str, reversal: PspObject, intent: str | None, charge: str | None, state: list[Any]) -> Learned:
    """Both ids are kept as they are: which payment they mean may be learned later (an invoice's, a charge's)."""
    own = own_metadata(reversal.part("metadata"))
    element = {"state": state, "currency": reversal.currency()} | _known(payment=intent, charge=charge)
    facts: dict[str, Any] = {family: {reversal.id: element}}
    if intent is not None and charge is not None:
        facts["links"] = {charge: intent}
    return Learned(own.order_id, _references(intent, reversal.id, intent, charge), facts)


def of_subscription(subscription: PspObject) -> Learned:
    """Read a subscription: only whether it has ended; its other states come and go, and snapshots tell them."""
    own = own_metadata(subscription.part("metadata"))
    state = [1, "ended"] if subscription.text("status") in ENDED_STATUSES else [0, "live"]
    facts = {"subscriptions": {subscription.id: _known(attempt=own.attempt) | {"state": state}}} | _confirmed(own)
    return Learned(own.order_id, _references(None, subscription.id), facts)


def of_invoice(invoice: PspObject) -> Learned:
    """Read a subscription's invoice, in the shape of API versions before and after 2025-03-31."""
    details = invoice.part("parent").part("subscription_details")
    own = own_metadata(details.part("metadata"))
    if own.order_id is None:
        own = own_metadata(invoice.part("subscription_details").part("metadata"))
    subscription = details.reference("subscription") or invoice.reference("subscription")
    status = invoice.one_of("status", INVOICE_RANK)
    element = _known(
        state=[INVOICE_RANK[status], invoice.optional_count("attempt_count") or 0, status],
        period_end=invoice.count("period_end"),
        subscription=subscription,
    )
    facts: dict[str, Any] = {"invoices": {invoice.id: element}} | _confirmed(own)
    if subscription is not None:
        facts["subscriptions"] = {subscription: _known(attempt=own.attempt) | {"state": [0, "live"]}}
    if status == "paid":
        facts["payments"] = _payment(invoice.id, own, invoice.currency(), invoice.count("amount_paid"))
    links = _payers(invoice)
    if links:
        facts["links"] = dict.fromkeys(links, invoice.id)
    references = _references(invoice.id, invoice.id, *links) | _references(None, subscription)
    return Learned(own.order_id, references, facts)


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
    return Learned(None, _references(invoice, invoice, *payers), facts)


#: How to read an object by what it says that it is, as a snapshot needs.
READERS: Final[Mapping[str, Callable[[PspObject], Learned]]] = {
    "checkout.session": of_session,
    "payment_intent": of_payment_intent,
    "charge": of_charge,
    "refund": of_refund,
    "dispute": of_dispute,
    "subscription": of_subscription,
    "invoice": of_invoice,
    "invoice_payment": of_invoice_payment,
}
