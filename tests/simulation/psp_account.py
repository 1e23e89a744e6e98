"""What there is in a Stripe account, and what happens to it: sessions, payments, refunds, disputes, and their events.

Nothing here fails: how Stripe feels is `psp`'s. What a customer may do is asked with `is_payable`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sandbox.stripe_simulator.errors import ApiError
from tests.simulation.scheduler import LoopClock, VirtualLoop

Json = dict[str, Any]


@dataclass(slots=True)
class SessionRecord:
    """A session, and what only the world knows of it."""

    object: Json
    key: str | None
    created: float
    is_late_born: bool = False
    is_revealed: bool = False  # an answer with its URL has reached us

    @property
    def is_open(self) -> bool:
        return bool(self.object["status"] == "open")

    @property
    def metadata(self) -> Mapping[str, str]:
        metadata: Mapping[str, str] = self.object["metadata"]
        return metadata


@dataclass(slots=True)
class Happening:
    """A snapshot of an object, to be delivered as an event."""

    event_id: str
    kind: str
    body: bytes
    created: int


class Account:
    """The account."""

    def __init__(self, loop: VirtualLoop, clock: LoopClock, rng: random.Random) -> None:
        self.sessions: dict[str, SessionRecord] = {}
        self.intents: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.disputes: dict[str, Json] = {}
        self.events: list[Happening] = []
        self.undelivered: dict[str, None] = {}  # events that an endpoint was to get, and has not taken
        self.on_event: Callable[[Happening], None] = lambda _: None
        self.on_session: Callable[[], object] = lambda: None
        self._loop = loop
        self._clock = clock
        self._rng = rng
        self._numbers: dict[str, int] = {}

    def session_object(self, session_id: str) -> Json:
        """Return a session with its PaymentIntent expanded."""
        session = self._session(session_id).object
        intent = self.intents.get(session["payment_intent"] or "")
        return {**session, "payment_intent": None if intent is None else dict(intent)}

    def object(self, psp_id: str) -> Json:
        """Return any object by its id."""
        for intent in self.intents.values():
            if intent["latest_charge"] == psp_id:
                return charge_of(intent)
        known = (self.intents, self.refunds, self.disputes)
        found = next((kind[psp_id] for kind in known if psp_id in kind), None)
        return self._session(psp_id).object if found is None else found

    def refunded(self, intent_id: str) -> int:
        """Return what was, or is being, paid back of a payment."""
        return sum(
            refund["amount"]
            for refund in self.refunds.values()
            if refund["payment_intent"] == intent_id and refund["status"] != "failed"
        )

    def is_contested(self, intent_id: str) -> bool:
        """Return whether the customer's bank has, or holds, the payment: nothing of it can be paid back then."""
        charge = self.intents[intent_id]["latest_charge"]
        return any(each["charge"] == charge and each["status"] != "won" for each in self.disputes.values())

    def _session(self, session_id: str) -> SessionRecord:
        if session_id not in self.sessions:
            raise ApiError(404, f"No such object: {session_id}", code="resource_missing")
        return self.sessions[session_id]

    def _bear(self, parameters: Mapping[str, Any], key: str | None) -> SessionRecord:
        session_id = self.new_id("cs_test")
        price = parameters["line_items"][0]["price_data"]
        session = {
            "id": session_id,
            "object": "checkout.session",
            "status": "open",
            "payment_status": "unpaid",
            "url": f"https://checkout.stripe.example/c/pay/{session_id}",
            "client_secret": None,
            "expires_at": parameters["expires_at"],
            "created": int(self._clock.now()),
            "amount_total": price["unit_amount"],
            "currency": price["currency"],
            "client_reference_id": parameters.get("client_reference_id"),
            "metadata": dict(parameters.get("metadata", {})),
            "payment_intent": None,
            "livemode": False,
        }
        record = self.sessions[session_id] = SessionRecord(session, key, self._loop.time())
        record_metadata = dict(parameters.get("payment_intent_data", {}).get("metadata", {}))
        session["_payment_metadata"] = record_metadata
        self._loop.later(parameters["expires_at"] - self._clock.now(), self._expire, record)
        return record

    def _expire(self, record: SessionRecord) -> None:
        if record.is_open:
            record.object.update(status="expired", url=None)
            self.emit("checkout.session.expired", record.object)

    def reveal(self, session_id: str) -> None:
        """Note that a session's page has become known to us."""
        self.sessions[session_id].is_revealed = True
        self.on_session()

    # -- what customers and the dashboard do

    def is_payable(self, session_id: str) -> bool:
        """Return whether the page would take money."""
        record = self.sessions.get(session_id)
        return record is not None and record.is_open

    def pay(self, session_id: str, *, is_delayed: bool = False, other_amount: int | None = None) -> str:
        """Complete the session; return the payment's id. A delayed method settles later (`settle`)."""
        session = self.sessions[session_id].object
        intent_id = self.new_id("pi")
        if other_amount is not None:
            session["amount_total"] = other_amount
        amount = session["amount_total"]
        intent = {
            "id": intent_id,
            "object": "payment_intent",
            "status": "processing" if is_delayed else "succeeded",
            "amount": amount,
            "amount_received": 0 if is_delayed else amount,
            "currency": session["currency"],
            "metadata": session["_payment_metadata"],
            "latest_charge": None if is_delayed else self.new_id("ch"),
            "_session": session_id,
        }
        self.intents[intent_id] = intent
        session.update(
            status="complete", url=None, payment_intent=intent_id, payment_status="unpaid" if is_delayed else "paid"
        )
        if not is_delayed:
            self._announce_money(intent)
        self.emit("checkout.session.completed", session)
        return intent_id

    def settle(self, intent_id: str, *, succeeds: bool) -> None:
        """Let a delayed method come to its end."""
        intent = self.intents[intent_id]
        session = self.sessions[intent["_session"]].object
        if succeeds:
            intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=self.new_id("ch"))
            session["payment_status"] = "paid"
            self._announce_money(intent)
            self.emit("checkout.session.async_payment_succeeded", session)
        else:
            intent["status"] = "requires_payment_method"
            self.emit("payment_intent.payment_failed", intent)
            self.emit("checkout.session.async_payment_failed", session)

    def refund(self, intent_id: str, amount: int, metadata: Mapping[str, str] | None = None) -> str:
        """Pay back; from the dashboard without metadata of ours."""
        intent = self.intents[intent_id]
        refund = {
            "id": self.new_id("re"),
            "object": "refund",
            "status": "pending",
            "amount": amount,
            "currency": intent["currency"],
            "payment_intent": intent_id,
            "charge": intent["latest_charge"],
            "metadata": dict(metadata or {}),
        }
        self.refunds[refund["id"]] = refund
        self.emit("refund.created", refund)
        return str(refund["id"])

    def _end_some_refund(self, refund_id: str) -> None:
        self.end_refund(refund_id, succeeds=self._rng.random() < 0.8, fails_later=self._rng.random() < 0.2)

    def end_refund(self, refund_id: str, *, succeeds: bool, fails_later: bool) -> None:
        """Let a refund succeed, or fail, or fail after it had succeeded."""
        refund = self.refunds[refund_id]
        if succeeds:
            refund["status"] = "succeeded"
            self.emit("refund.updated", refund)
        if not succeeds or fails_later:
            refund["status"] = "failed"
            self.emit("refund.failed", refund)

    def dispute(self, intent_id: str) -> str:
        """Let the customer's bank take the money back for now."""
        intent = self.intents[intent_id]
        dispute = {
            "id": self.new_id("dp"),
            "object": "dispute",
            "status": "needs_response",
            "amount": intent["amount"],
            "currency": intent["currency"],
            "payment_intent": intent_id if self._rng.random() < 0.8 else None,
            "charge": intent["latest_charge"],
            "metadata": {},
            "balance_transactions": [{}],
        }
        self.disputes[dispute["id"]] = dispute
        self.emit("charge.dispute.created", dispute)
        return str(dispute["id"])

    def close_dispute(self, dispute_id: str, *, is_won: bool) -> None:
        """Let the dispute be decided."""
        dispute = self.disputes[dispute_id]
        dispute["status"] = "won" if is_won else "lost"
        if is_won:
            dispute["balance_transactions"] = [{}, {}]
        self.emit("charge.dispute.closed", dispute)

    def foreign_sale(self, order_id: str) -> None:
        """Sell something through another app of the account, with our order's id where anyone can write one."""
        parameters = {
            "expires_at": int(self._clock.now()) + 7200,
            "line_items": [{"price_data": {"currency": "eur", "unit_amount": 1, "product_data": {"name": "link"}}}],
            "client_reference_id": order_id,
        }
        record = self._bear(parameters, None)
        self.pay(str(record.object["id"]))

    # -- events

    def emit(self, kind: str, subject: Json) -> None:
        """Record an event, sometimes two of them, and hand it to the sender."""
        for _ in range(2 if self._rng.random() < 0.05 else 1):
            event_id = self.new_id("evt")
            shown = {name: value for name, value in subject.items() if not name.startswith("_")}
            event = {
                "id": event_id,
                "object": "event",
                "type": kind,
                "created": int(self._clock.now()),
                "livemode": False,
                "api_version": "2026-10-28.endive",
                "data": {"object": shown},
            }
            happening = Happening(event_id, kind, orjson.dumps(event), int(self._clock.now()))
            self.events.append(happening)
            self.on_event(happening)

    def new_id(self, prefix: str) -> str:
        """Return a new id; the numbers go up, but their texts do not sort by time."""
        number = self._numbers[prefix] = self._numbers.get(prefix, 0) + 1
        return f"{prefix}_{(number * 7919) % 10007:05d}{number}"

    def _announce_money(self, intent: Json) -> None:
        self.emit("payment_intent.succeeded", intent)
        self.emit("charge.succeeded", charge_of(intent))


def charge_of(intent: Json) -> Json:
    """Return the charge of a PaymentIntent that has succeeded."""
    return {
        "id": intent["latest_charge"],
        "object": "charge",
        "payment_intent": intent["id"],
        "metadata": intent["metadata"],
    }
