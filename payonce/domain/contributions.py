"""What one message adds to an order: its facts, its references, or the reason why it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, assert_never

from payonce.domain import psp_facts
from payonce.domain.commands import (
    CancelPayment,
    CancelSubscription,
    Command,
    RefreshPayment,
    RefundPayment,
    RegisterPayment,
)
from payonce.domain.dating import dated
from payonce.domain.events import (
    AttemptCancelled,
    CommandRejected,
    PspEvent,
    PspSnapshot,
    RefundAccepted,
    RefundRejected,
    RegistrationFailed,
    RegistrationStuck,
    SubscriptionCancelAccepted,
    TokenEvent,
    TokenIssued,
)
from payonce.domain.facts import session_state
from payonce.domain.merge import Facts, merge
from payonce.domain.psp_objects import ImpossibleEvent, PspObject
from payonce.domain.terms import terms_document


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a message brings.

    `order_id`: the order that the message names itself, else None: then the caller finds it through `references`.
    `references`: every PSP id in it -> the payment it belongs to, if known. `facts`: to be merged into the order.
    `reason`: why it changes nothing, for the timeline.
    """

    order_id: str | None
    references: Mapping[str, str | None] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)
    reason: str | None = None


def contribution(message: Command | TokenEvent | PspEvent, *, position: tuple[str, int, int]) -> Contribution:
    """Return what the message read at `position` (topic, partition, place in its order's log) adds. Pure.

    The place is the offset, raised by the generation of the topic.
    Raises ImpossibleEvent if the PSP's object is not what it can be.
    """
    match message:
        case RegisterPayment():
            return _of_command(message, position[2])
        case CancelPayment() | RefundPayment() | CancelSubscription() | RefreshPayment():
            return Contribution(message.order_id, reason="a command: its outcome is the fact")
        case PspEvent():
            return _of_psp_event(message)
        case _:
            return _of_token_event(message)


def _of_command(command: RegisterPayment, place: int) -> Contribution:
    """All commands of an order lie in one partition of a generation, so its place alone says which came first."""
    body = {"precedence": -place, "terms": terms_document(command.terms)}
    return Contribution(command.order_id, facts={"terms": {str(command.attempt): {command.body_hash: body}}})


def _of_token_event(event: TokenEvent) -> Contribution:
    facts: Facts
    match event:
        case TokenIssued():
            state = session_state("open", event.hosted_page_url, event.client_secret, event.expires_at)
            session = {event.session_id: {"attempt": event.attempt, "state": state}}
            facts = _confirming(event) | {"sessions": session}
            return Contribution(event.order_id, {event.session_id: None}, facts)
        case RegistrationFailed():
            failed = {str(event.attempt): [event.reason, event.detail, event.proof]}
            facts = _confirming(event) | {"registration_failed": failed}
        case RegistrationStuck():
            facts = _confirming(event) | {"stuck": {str(event.attempt): [event.reason, event.detail]}}
        case CommandRejected():
            return _of_rejection(event)
        case AttemptCancelled():
            facts = {"cancelled": {str(event.attempt): 1}}  # it may stand for an attempt that never had a body
        case RefundAccepted() | RefundRejected() | SubscriptionCancelAccepted():
            return _of_answer(event)
        case PspSnapshot():
            return _of_snapshot(event)
        case _:
            assert_never(event)
    return Contribution(event.order_id, facts=facts)


def _of_answer(event: RefundAccepted | RefundRejected | SubscriptionCancelAccepted) -> Contribution:
    """Say why it changes nothing: what the PSP has taken on is a fact when its own events say so."""
    match event:
        case RefundAccepted():
            known = {event.refund_id: event.payment}
            return Contribution(event.order_id, known, reason="the refund's own events say how it goes")
        case RefundRejected():
            return Contribution(event.order_id, reason=f"the refund was not made: {event.reason}")
        case SubscriptionCancelAccepted():
            told = f"the subscription ends ({event.at}): its own events say when it has"
            return Contribution(event.order_id, {event.subscription: None}, reason=told)


def _confirming(event: TokenIssued | RegistrationFailed | RegistrationStuck) -> dict[str, Any]:
    return {"confirmed": {str(event.attempt): {event.body_hash: 1}}}


def _of_rejection(event: CommandRejected) -> Contribution:
    """Only a rejected registration takes something away: its body does not count."""
    if event.attempt is None or event.body_hash is None:
        return Contribution(event.order_id, reason=f"{event.command_type} was rejected: {event.reason}")
    body = {event.body_hash: [event.reason, event.detail]}
    return Contribution(event.order_id, facts={"rejected": {str(event.attempt): body}})


# ------------------------------------------------------------------------------------------ PSP events

_SESSION_EVENTS: Final = {
    "checkout.session.completed": partial(psp_facts.of_session, status="complete"),
    "checkout.session.async_payment_succeeded": partial(psp_facts.of_session, status="complete", verdict="paid"),
    "checkout.session.async_payment_failed": partial(psp_facts.of_session, status="complete", verdict="failed"),
    "checkout.session.expired": partial(psp_facts.of_session, status="expired"),
}
#: The first prefix that fits says what kind of object the event carries.
_KINDS: Final = (
    ("charge.dispute.", "dispute"),
    ("charge.refund.updated", "refund"),
    ("charge.", "charge"),
    ("checkout.session.", "checkout.session"),
    ("customer.subscription.", "subscription"),
    ("invoice.", "invoice"),
    ("invoice_payment.", "invoice_payment"),
    ("payment_intent.", "payment_intent"),
    ("refund.", "refund"),
)
#: Their invoice has no id yet, or is no more.
_NO_OBJECT: Final = frozenset({"invoice.upcoming", "invoice.deleted"})
#: What each means that brings no fact, where the type alone does not say it.
_LOGS: Final = {
    "payment_intent.payment_failed": "payment_failed is an attempt log: the customer may try again on the same page",
    "payment_intent.processing": "the session says when money is on its way",
    "payment_intent.canceled": "the session says when it closes",
    "charge.failed": "a failed charge is an attempt log",
}


def _of_psp_event(event: PspEvent) -> Contribution:
    kind = next((kind for prefix, kind in _KINDS if event.type.startswith(prefix)), None)
    read = _SESSION_EVENTS.get(event.type) or psp_facts.READERS.get(kind or "")
    if kind is None or read is None or event.type in _NO_OBJECT:
        return Contribution(None, reason=f"not a fact: {event.type}")
    learned = read(PspObject.of(event.object, kind))
    facts = {} if event.type in _LOGS else dated(learned.facts, event.created)
    reason = None if facts else f"not a fact: {_LOGS.get(event.type, event.type)}"
    return Contribution(learned.order_id, learned.references, facts, reason)


# ------------------------------------------------------------------------------------------- snapshots


def _of_snapshot(snapshot: PspSnapshot) -> Contribution:
    """Merge what every object says, as an event would; values that cycle are kept with the snapshot's version."""
    references: dict[str, str | None] = {}
    facts: Facts = {}
    for value in snapshot.objects:
        kind = value.get("object") if isinstance(value, Mapping) else None
        read = psp_facts.READERS.get(kind) if isinstance(kind, str) else None
        if read is None or not isinstance(kind, str):
            raise ImpossibleEvent(f"snapshot: no object of a known kind but {type(kind).__name__}")
        thing = PspObject.of(value, kind)
        learned = read(thing)
        if learned.order_id not in {None, snapshot.order_id}:
            raise ImpossibleEvent(f"snapshot: its {kind} names another order")
        references |= {
            psp_id: payment for psp_id, payment in learned.references.items() if payment or psp_id not in references
        }
        facts = merge(merge(facts, dated(learned.facts, snapshot.response_date)), _cycling(snapshot, thing))
    facts = merge(facts, _failed_later(snapshot))
    return Contribution(
        snapshot.order_id, references, facts, None if facts else "not a fact: the PSP had nothing to say"
    )


def _cycling(snapshot: PspSnapshot, thing: PspObject) -> Facts:
    version = [snapshot.refresh_offset, snapshot.response_date, snapshot.event_id]
    if thing.kind == "subscription":
        return {"snapshots": {thing.id: [*version, thing.text("status")]}}
    if thing.kind == "dispute":
        told = psp_facts.of_dispute(thing).facts["disputes"][thing.id]
        return {"snapshots": {thing.id: [*version, *told["state"], *told.get("due", [])[2:]]}}
    return {}


def _failed_later(snapshot: PspSnapshot) -> Facts:
    """Tell a failed delayed method without its event: a complete, unpaid session whose PaymentIntent wants another."""
    intents = {
        value["id"]: value.get("status") for value in snapshot.objects if value.get("object") == "payment_intent"
    }
    failed = {
        value["id"]: 1
        for value in snapshot.objects
        if value.get("object") == "checkout.session"
        and (value.get("status"), value.get("payment_status")) == ("complete", "unpaid")
        and intents.get(PspObject(value, "checkout.session").reference("payment_intent"))
        in {"requires_payment_method", "canceled"}
    }
    return {"async_failed": failed} if failed else {}
