"""Stripe's JSON as the values of the gateway port. What is not what was asked for is a failure, never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from payonce.adapters.stripe.door import Answer
from payonce.ports import GatewayFailure, ObjectPage, Reading, Session, SessionPage

_STATUSES = ("open", "complete", "expired")
_PAYMENT_STATUSES = ("paid", "unpaid", "no_payment_required")


def read_session(answer: Answer) -> Session:
    """Return the session that the answer is. Raises GatewayFailure: a success that we cannot read may have made one."""
    session = _session(answer.data)
    if session is None:
        raise answer.unusable("the answer is not a Checkout Session")
    return session


def read_sessions(answer: Answer) -> SessionPage:
    """Return the page's sessions that carry metadata of ours; others are another app's, in whatever shape."""
    elements, next_after = _elements(answer)
    marked = [element for element in elements if "order_id" in (element.get("metadata") or {})]
    sessions = [_session(element) for element in marked]
    if None in sessions:
        raise answer.unusable("a Checkout Session in the list cannot be read")
    oldest = min((element["created"] for element in elements if isinstance(element.get("created"), int)), default=None)
    return SessionPage([session for session in sessions if session is not None], next_after, oldest)


def read_page(answer: Answer) -> ObjectPage:
    """Return a page of objects as they are."""
    elements, next_after = _elements(answer)
    return ObjectPage(elements, next_after, answer.date)


def read_object(answer: Answer, kind: str | None = None) -> Reading:
    """Return the object that the answer is, which must be of the kind if one is named."""
    data = answer.data
    if not isinstance(data.get("id"), str) or not isinstance(data.get("object"), str):
        raise answer.unusable("the answer is not an object of the API")
    if kind is not None and data["object"] != kind:
        raise answer.unusable(f"the answer is not a {kind}")
    return Reading(data, answer.date)


def _elements(answer: Answer) -> tuple[list[Mapping[str, Any]], str | None]:
    data: object = answer.data.get("data")
    if answer.data.get("object") != "list" or not isinstance(data, list):
        raise answer.unusable("the answer is not a list")
    if not all(isinstance(element, Mapping) and isinstance(element.get("id"), str) for element in data):
        raise answer.unusable("the list holds what is no object of the API")
    next_after = data[-1]["id"] if data and answer.data.get("has_more") is True else None
    return data, next_after


def _session(data: Mapping[str, Any]) -> Session | None:
    match data:
        case {
            "object": "checkout.session",
            "id": str() as session_id,
            "status": str() as status,
            "expires_at": int() as expires_at,
        } if status in _STATUSES and data.get("payment_status", "unpaid") in _PAYMENT_STATUSES:
            intent = data.get("payment_intent")
            intent_id, intent_status = (
                (intent.get("id"), intent.get("status")) if isinstance(intent, Mapping) else (intent, None)
            )
        case _:
            return None
    return Session(
        session_id=session_id,
        status=cast("Literal['open', 'complete', 'expired']", status),
        hosted_page_url=data.get("url"),
        client_secret=data.get("client_secret"),
        expires_at=expires_at,
        metadata=dict(data.get("metadata") or {}),
        created=data.get("created") or 0,
        payment_status=data.get("payment_status", "unpaid"),
        payment_intent=intent_id,
        payment_intent_status=intent_status,
    )


def is_missing(failure: GatewayFailure) -> bool:
    """Return whether Stripe says, in its own words, that there is no such object."""
    return failure.kind == "permanent" and failure.http_status == 404  # noqa: PLR2004  (Not Found)
