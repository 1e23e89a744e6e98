"""Messages as they come: our commands and worker's events, and the PSP's objects in the shape of its documentation.

Import it as `tests.unit.domain.factories`: pytest puts the project's root on the path.
"""

from __future__ import annotations

from typing import Any

from payonce.domain.commands import Command, RegisterPayment
from payonce.domain.events import (
    AttemptCancelled,
    CommandRejected,
    PspEvent,
    PspSnapshot,
    RegistrationFailed,
    RegistrationStuck,
    TokenEvent,
    TokenIssued,
)
from payonce.domain.order import Facts, contribution, merge
from payonce.domain.terms import PaymentType, Terms, body_hash_of, order_id_of

Message = Command | TokenEvent | PspEvent
Position = tuple[str, int, int]

ORDER_ID = order_id_of("shop", "order-1")
NOWHERE: Position = ("payments.webhooks", 0, 0)


def terms(amount: int = 1000, currency: str = "eur", payment_type: PaymentType = "SALE") -> Terms:
    return Terms(
        client_id="shop",
        reference="order-1",
        amount=amount,
        currency=currency,
        payment_type=payment_type,
        payment_method="APM",
        psp="stripe",
        redirect_url="https://shop.example/back",
    )


SALE = terms()
RECC = terms(payment_type="RECC")


def command(body: Terms = SALE, attempt: int = 1) -> RegisterPayment:
    return RegisterPayment(
        order_id=ORDER_ID,
        attempt=attempt,
        terms=body,
        body_hash=body_hash_of(body),
        issued_at=1_800_000_000,
        expires_at=1_800_007_200,
        success_url="https://pay.example/return",
        cancel_url="https://pay.example/return?via=cancel",
        api_version="2026-10-28.endive",
    )


def _answers(body: Terms, attempt: int) -> dict[str, Any]:
    asked = command(body, attempt)
    return {
        "order_id": asked.order_id,
        "attempt": attempt,
        "body_hash": asked.body_hash,
        "command_id": asked.command_id,
    }


def token(body: Terms = SALE, attempt: int = 1, session_id: str | None = None) -> TokenIssued:
    session_id = session_id or f"cs_{attempt}"
    return TokenIssued(
        **_answers(body, attempt),
        psp="stripe",
        session_id=session_id,
        hosted_page_url=f"https://psp.example/{session_id}",
        client_secret=f"{session_id}_secret",
        expires_at=1_800_007_200,
        psp_request_id="req_1",
    )


def registration_failed(body: Terms = SALE, attempt: int = 1) -> RegistrationFailed:
    return RegistrationFailed(**_answers(body, attempt), reason="psp_refused", detail="no such method", proof="400")


def stuck(body: Terms = SALE, attempt: int = 1) -> RegistrationStuck:
    return RegistrationStuck(**_answers(body, attempt), reason="unknown_outcome", detail="500 for ten minutes")


def rejected(body: Terms = SALE, attempt: int = 1) -> CommandRejected:
    return CommandRejected(
        **_answers(body, attempt),
        command_type="RegisterPayment",
        reason="body_mismatch",
        detail="another body came first",
    )


def cancelled(body: Terms = SALE, attempt: int = 1) -> AttemptCancelled:
    asked = command(body, attempt)
    return AttemptCancelled(asked.order_id, asked.command_id, attempt, proof="expired at the PSP")


def snapshot(*objects: dict[str, Any], refresh_offset: int = 100, response_date: int = 1_800_000_500) -> PspSnapshot:
    return PspSnapshot(
        ORDER_ID,
        command(SALE, 1).command_id,
        refresh_offset=refresh_offset,
        response_date=response_date,
        objects=tuple(objects),
    )


def event(
    kind: str, psp_object: dict[str, Any], event_id: str | None = None, *, created: int = 1_800_000_100
) -> PspEvent:
    return PspEvent(
        event_id=event_id or f"evt_{kind}_{psp_object.get('id')}",
        type=kind,
        created=created,
        livemode=False,
        api_version="2026-10-28.endive",
        object=psp_object,
    )


def own_metadata(body: Terms = SALE, attempt: int = 1) -> dict[str, str]:
    return {"order_id": ORDER_ID, "attempt": str(attempt), "body_hash": body_hash_of(body)}


def session(body: Terms = SALE, attempt: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"cs_{attempt}",
        "object": "checkout.session",
        "mode": "payment",
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": f"pi_{attempt}",
        "subscription": None,
        "invoice": None,
        "amount_total": body.amount,
        "currency": body.currency,
        "customer": "cus_1",
        "url": None,
        "expires_at": 1_800_007_200,
        "client_reference_id": ORDER_ID,
        "metadata": own_metadata(body, attempt),
        **changes,
    }


def recurring_session(body: Terms = RECC, attempt: int = 1, **changes: Any) -> dict[str, Any]:
    ids = {"mode": "subscription", "payment_intent": None, "subscription": f"sub_{attempt}", "invoice": f"in_{attempt}"}
    return session(body, attempt, **{**ids, **changes})


def expired(body: Terms = SALE, attempt: int = 1) -> PspEvent:
    closed = session(body, attempt, status="expired", payment_status="unpaid", payment_intent=None)
    return event("checkout.session.expired", closed)


def completed(body: Terms = SALE, attempt: int = 1, **changes: Any) -> PspEvent:
    return event("checkout.session.completed", session(body, attempt, **changes))


def intent(body: Terms = SALE, attempt: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"pi_{attempt}",
        "object": "payment_intent",
        "status": "succeeded",
        "amount": body.amount,
        "amount_received": body.amount,
        "currency": body.currency,
        "latest_charge": f"ch_{attempt}",
        "metadata": own_metadata(body, attempt),
        **changes,
    }


def charge(attempt: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"ch_{attempt}",
        "object": "charge",
        "payment_intent": f"pi_{attempt}",
        "amount": 1000,
        "metadata": {},
        **changes,
    }


def refund(amount: int, status: str = "succeeded", refund_id: str = "re_1", **changes: Any) -> PspEvent:
    told = {
        "id": refund_id,
        "object": "refund",
        "amount": amount,
        "currency": "eur",
        "status": status,
        "payment_intent": "pi_1",
        "charge": "ch_1",
        "metadata": {},
        **changes,
    }
    return event("refund.updated", told)


def dispute(status: str, moves: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": "dp_1",
        "object": "dispute",
        "amount": 1000,
        "currency": "eur",
        "status": status,
        "payment_intent": "pi_1",
        "charge": "ch_1",
        "balance_transactions": [{"id": f"txn_{number}"} for number in range(moves)],
        "metadata": {},
        **changes,
    }


def disputed(status: str, moves: int = 1, **changes: Any) -> PspEvent:
    return event("charge.dispute.updated", dispute(status, moves, **changes))


def subscription(status: str = "active", attempt: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"sub_{attempt}",
        "object": "subscription",
        "status": status,
        "metadata": own_metadata(RECC, attempt),
        **changes,
    }


def invoice(status: str = "paid", number: int = 1, tries: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a subscription's invoice in the newer shape; `number` also counts its period."""
    details = {"subscription": "sub_1", "metadata": own_metadata(RECC)}
    return {
        "id": f"in_{number}",
        "object": "invoice",
        "status": status,
        "attempt_count": tries,
        "amount_paid": 1000 if status == "paid" else 0,
        "currency": "eur",
        "period_end": 1_800_000_000 + number * 2_600_000,
        "metadata": {},
        "parent": {"type": "subscription_details", "subscription_details": details},
        **changes,
    }


def invoiced(status: str = "paid", number: int = 1, tries: int = 1, **changes: Any) -> PspEvent:
    return event("invoice.paid" if status == "paid" else "invoice.updated", invoice(status, number, tries, **changes))


def invoice_paid_by(payer: str = "pi_9", number: int = 1) -> PspEvent:
    link = {
        "id": f"inpay_{number}",
        "object": "invoice_payment",
        "invoice": f"in_{number}",
        "payment": {"type": "payment_intent", "payment_intent": payer},
    }
    return event("invoice_payment.paid", link)


def fold(*messages: Message) -> Facts:
    """Merge the messages in this order; commands lie in the log as they are given."""
    facts: Facts = {}
    for offset, message in enumerate(messages):
        facts = merge(facts, contribution(message, position=("payments.commands", 0, offset)).facts)
    return facts
