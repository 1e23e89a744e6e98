"""What a client is told about its order: which status code, which document. Pure decisions over a row and a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Response

from payonce.domain.commands import RegisterPayment
from payonce.domain.order_row import OrderRow
from payonce.domain.terms import Terms
from payonce.problem_documents import FieldError, Problem
from services.checkout_api.examples import REGISTERED
from services.checkout_api.links import Links
from services.checkout_api.payloads import PaymentOrder, recurring_document
from services.checkout_api.preferences import applied

#: How long folding a command usually takes, rounded up: when to look again.
RETRY_AFTER = {"Retry-After": "1"}
#: `answer_to_post`'s three answers as FastAPI documents them (Any: parts of an OpenAPI document).
ANSWERS_TO_POST: dict[int | str, dict[str, Any]] = {
    202: {"description": "In the log; the hosted page follows"},
    201: {"model": PaymentOrder, "description": "Registered: only with `Prefer: wait=N`", "content": REGISTERED},
    200: {"model": PaymentOrder, "description": "Known already, with its status"},
}
#: The fields of a body; the reference and the client are the order's identity and cannot differ.
_COMPARED = (
    "amount",
    "currency",
    "payment_type",
    "payment_method",
    "psp",
    "redirect_url",
    "description",
    "customer_email",
    "recurring",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that carries an order."""

    status: int
    order: PaymentOrder
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Return it as it is sent."""
        return Response(self.order.model_dump_json(), self.status, dict(self.headers), "application/json")


def conflict(order: OrderRow | None, terms: Terms, body_hash: str) -> Problem | None:
    """Return the 409 if the reference is known with another body, naming what differs."""
    if order is None or order.body_hash is None or order.body_hash == body_hash:
        return None
    # A token may be known before its command: then only the hash says that the bodies differ, not where.
    known = order.client_id is not None
    names = [name for name in _COMPARED if known and getattr(order, name) != getattr(terms, name)] or ["body"]
    errors = [FieldError(field=name, detail="differs from the order that has this reference") for name in names]
    detail = f"the reference {terms.reference!r} is taken by an order that differs in: {', '.join(names)}"
    return Problem(409, "reference_conflict", detail, errors=errors)


def is_known(order: OrderRow | None, body_hash: str) -> bool:
    """Return whether there is more to say about a posted body than `created`."""
    return order is not None and order.body_hash is not None and (order.body_hash != body_hash or _is_beyond(order))


def answer_to_post(
    order: OrderRow | None, command: RegisterPayment, links: Links, *, now: float, waited_seconds: int | None
) -> Answer:
    """Return 201 with the page, or the card fields' secret, to who waited for it; 200 if known otherwise; else 202."""
    location = {"Location": links.order(command.order_id)}
    if order is None or not is_known(order, command.body_hash):
        return Answer(202, _accepted(command, links), location | applied(waited_seconds) | RETRY_AFTER)
    document = shown(order, links, now=now) or _accepted(command, links)
    can_pay = document.hosted_page_url is not None or document.client_secret is not None
    status = 201 if waited_seconds is not None and can_pay else 200
    return Answer(status, document, location | applied(waited_seconds))


def shown(order: OrderRow, links: Links, *, now: float) -> PaymentOrder | None:
    """Return the order for its client, None while the client's own fields are not known yet."""
    known = (order.reference, order.body_hash, order.amount, order.currency, order.redirect_url)
    if any(value is None for value in known):
        return None
    assert order.body_hash is not None
    fields = {name: getattr(order, name) for name in PaymentOrder.model_fields if hasattr(order, name)}
    return PaymentOrder.model_validate(
        {
            **fields,
            "id": order.order_id,
            "checkout_url": links.checkout(order.order_id, order.body_hash),
            "hosted_page_url": order.open_page(order.body_hash, now),
            "client_secret": order.open_secret(order.body_hash, now),
            "recurring": recurring_document(order.recurring),
            "flags": list(order.flags),
        }
    )


def _is_beyond(order: OrderRow) -> bool:
    return order.status != "created"


def _accepted(command: RegisterPayment, links: Links) -> PaymentOrder:
    terms = command.terms
    return PaymentOrder(
        id=command.order_id,
        reference=terms.reference,
        status="created",
        amount=terms.amount,
        currency=terms.currency,
        payment_type=terms.payment_type,
        payment_method=terms.payment_method,
        psp=terms.psp,
        redirect_url=terms.redirect_url,
        recurring=recurring_document(terms.recurring),
        attempt=command.attempt,
        checkout_url=links.checkout(command.order_id, command.body_hash),
        created_at=command.issued_at,
        updated_at=command.issued_at,
    )
