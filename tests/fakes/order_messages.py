"""What is said about the order that `tests.fakes.checkout_api` posts: commands, the worker's events, the PSP's."""

from __future__ import annotations

from typing import Any

from payonce.domain.commands import RegisterPayment
from payonce.domain.events import (
    AttemptCancelled,
    CommandRejected,
    PspEvent,
    RegistrationFailed,
    RegistrationStuck,
    RejectionReason,
    TokenIssued,
)
from payonce.domain.terms import Terms, body_hash_of, order_id_of
from tests.fakes.checkout_api import API_VERSION, LIFETIME, PAGE, SECRET, terms

_ISSUED_AT = 1_790_000_000


def commanded(attempt: int = 1, posted: Terms | None = None) -> RegisterPayment:
    """The client's command."""
    known = posted or terms()
    return RegisterPayment(
        order_id=order_id_of(known.client_id, known.reference),
        attempt=attempt,
        terms=known,
        body_hash=body_hash_of(known),
        issued_at=_ISSUED_AT,
        expires_at=_ISSUED_AT + LIFETIME,
        success_url="https://pay.example/return/x",
        cancel_url="https://pay.example/return/x?via=cancel",
        api_version=API_VERSION,
    )


def _answers(attempt: int, body_hash: str | None = None, posted: Terms | None = None) -> dict[str, Any]:
    asked = commanded(attempt, posted)
    return {
        "order_id": asked.order_id,
        "command_id": asked.command_id,
        "attempt": attempt,
        "body_hash": body_hash or asked.body_hash,
    }


def issued(attempt: int = 1, *, body_hash: str | None = None, posted: Terms | None = None) -> TokenIssued:
    """The PSP has registered it."""
    is_card = posted is not None and posted.payment_method == "CARD"
    return TokenIssued(
        **_answers(attempt, body_hash, posted),
        psp="stripe",
        session_id=f"cs_{attempt}",
        hosted_page_url=None if is_card else PAGE,
        client_secret=SECRET if is_card else None,
        expires_at=_ISSUED_AT + LIFETIME,
        psp_request_id="req_1",
    )


def refused(attempt: int = 1) -> RegistrationFailed:
    """The PSP has refused it."""
    return RegistrationFailed(**_answers(attempt), reason="psp_refused", detail="too small", proof="400")


def stuck(attempt: int = 1) -> RegistrationStuck:
    """Nobody knows what the PSP has done."""
    return RegistrationStuck(**_answers(attempt), reason="unknown_outcome", detail="500 for ten minutes")


def rejected(attempt: int, reason: RejectionReason) -> CommandRejected:
    """The worker has not carried it out."""
    return CommandRejected(
        **_answers(attempt), command_type="RegisterPayment", reason=reason, detail="attempt 1 holds the order"
    )


def cancelled(attempt: int = 1) -> AttemptCancelled:
    """Nobody can pay it any more."""
    asked = commanded(attempt)
    return AttemptCancelled(asked.order_id, asked.command_id, attempt, proof="expired at the PSP")


def expired(attempt: int = 1) -> PspEvent:
    """Its session has expired."""
    return _session_event("checkout.session.expired", attempt, status="expired")


def processing(attempt: int = 1) -> PspEvent:
    """A delayed method was chosen: the money is on its way."""
    return _session_event("checkout.session.completed", attempt, status="complete")


def failed_later(attempt: int = 1) -> PspEvent:
    """The delayed method has failed."""
    return _session_event("checkout.session.async_payment_failed", attempt, status="complete")


def session_paid(attempt: int = 1, *, amount: int = 1050, intent: str | None = None) -> PspEvent:
    """The customer has paid."""
    known: dict[str, Any] = {"status": "complete", "payment_status": "paid", "amount_total": amount}
    known["payment_intent"] = intent or f"pi_{attempt}"
    return _session_event("checkout.session.completed", attempt, **known)


def refunded(refund_id: str, status: str, amount: int, *, intent: str = "pi_1") -> PspEvent:
    """The PSP's word on a refund."""
    psp_object = {
        "id": refund_id,
        "object": "refund",
        "status": status,
        "amount": amount,
        "currency": "eur",
        "payment_intent": intent,
        "charge": f"ch_{intent}",
        "metadata": {"order_id": commanded().order_id},
    }
    return _event("refund.updated", psp_object, f"evt_{refund_id}_{status}")


def _session_event(kind: str, attempt: int, **known: object) -> PspEvent:
    asked = commanded(attempt)
    metadata = {"order_id": asked.order_id, "attempt": str(attempt), "body_hash": asked.body_hash}
    session = {"id": f"cs_{attempt}", "object": "checkout.session", "payment_status": "unpaid", "metadata": metadata}
    return _event(kind, {**session, "amount_total": 1050, "currency": "eur", **known}, f"evt_{kind}_{attempt}")


def _event(kind: str, psp_object: dict[str, Any], event_id: str) -> PspEvent:
    return PspEvent(
        event_id=event_id,
        type=kind,
        created=_ISSUED_AT + 60,
        livemode=False,
        api_version=API_VERSION,
        object=psp_object,
    )
