"""What each kind of PSP object says about an order, as facts; and what it is called, as references.

Nothing here knows which message brought the object, except a session's verdict on a delayed method. Amounts that the
PSP adds up (`charge.amount_refunded`) are ignored: they can go down. A payment is named by its PaymentIntent, for a
subscription by its invoice, and by the session where nothing was due; `links` lead every other id to that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from payonce.domain.facts import DISPUTE_RANK, REFUND_RANK, SESSION_RANK, session_state
from payonce.domain.learned import Learned, confirmed, named, present, received
from payonce.domain.psp_billing import LIVE, of_invoice, of_invoice_payment, of_subscription
from payonce.domain.psp_objects import PspObject, own_metadata

#: ISO 4217's code for transactions without a currency: a session with nothing due need not have one.
_NO_CURRENCY: Final = "xxx"
_PAYMENT_STATUSES: Final = {"unpaid": 0, "paid": 1, "no_payment_required": 1}


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
    facts: dict[str, Any] = {"sessions": {session.id: present(attempt=own.attempt, state=state)}} | confirmed(own)
    if payment != session.id:
        facts["links"] = {session.id: payment}
    if subscription is not None:
        facts["subscriptions"] = {subscription: present(attempt=own.attempt, state=LIVE)}
    if status == "complete" and (settled != "unpaid" or verdict == "paid"):
        facts["payments"] = received(payment, own, *_session_sum(session, settled))
    if verdict == "failed":
        facts["async_failed"] = {session.id: 1}
    known = None if payment == session.id and "payments" not in facts else payment
    ids = named(known, session.id, intent, invoice) | named(None, subscription)
    return Learned(own.order_id, ids, facts)


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
    ids = named(payment, intent.id, charge)
    if intent.text("status") != "succeeded":
        return Learned(own.order_id, ids)
    facts: dict[str, Any] = {} if charge is None else {"links": {charge: intent.id}}
    if own.order_id is not None:
        sums = received(intent.id, own, intent.currency(), intent.count("amount_received"))
        facts |= {"payments": sums} | confirmed(own)
    return Learned(own.order_id, ids, facts)


def of_charge(charge: PspObject) -> Learned:
    """Read a charge: only whose PaymentIntent it is. A charge is no second payment beside its PaymentIntent."""
    own = own_metadata(charge.part("metadata"))
    intent = charge.reference("payment_intent")
    ids = named(intent if own.order_id is not None else None, charge.id, intent)
    return Learned(own.order_id, ids, {} if intent is None else {"links": {charge.id: intent}})


def of_refund(refund: PspObject) -> Learned:
    """Read a refund: the greatest of (rank, status, amount) is its state."""
    intent, charge = refund.reference("payment_intent"), refund.reference("charge")
    status = refund.one_of("status", REFUND_RANK)
    state = [REFUND_RANK[status], status, refund.count("amount")]
    return _of_reversal("refunds", refund, intent, charge, {"state": state})


def of_dispute(dispute: PspObject) -> Learned:
    """Read a dispute: the more balance transactions, the later; then by rank."""
    intent, charge = dispute.reference("payment_intent"), dispute.reference("charge")
    status = dispute.one_of("status", DISPUTE_RANK)
    moves = len(dispute.items("balance_transactions"))
    state = [moves, DISPUTE_RANK[status], status, dispute.count("amount")]
    told = present(state=state, due=due_of_dispute(dispute, state), reason=dispute.optional_text("reason"))
    return _of_reversal("disputes", dispute, intent, charge, told)


def due_of_dispute(dispute: PspObject, state: list[Any]) -> list[int] | None:
    """Return [balance transactions, rank, due_by]: each stage sets a deadline of its own, and not always a later one.

    `state` is the dispute's; `due_by` (unix seconds) is until when evidence is taken. None if there is none.
    """
    due_by = dispute.part("evidence_details").optional_count("due_by")
    return None if due_by is None else [*state[:2], due_by]


def _of_reversal(
    family: str, reversal: PspObject, intent: str | None, charge: str | None, told: Mapping[str, Any]
) -> Learned:
    """Both ids are kept as they are: which payment they mean may be learned later (an invoice's, a charge's)."""
    own = own_metadata(reversal.part("metadata"))
    element = {**told, "currency": reversal.currency(), **present(payment=intent, charge=charge)}
    facts: dict[str, Any] = {family: {reversal.id: element}}
    if intent is not None and charge is not None:
        facts["links"] = {charge: intent}
    return Learned(own.order_id, named(intent, reversal.id, intent, charge), facts)


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
