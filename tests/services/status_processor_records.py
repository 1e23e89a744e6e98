"""Records as the fold reads them: one life of an order, message by message, and things that are no message at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from payonce.codec import OwnMessage, outgoing, webhook_record
from payonce.domain.commands import RefreshPayment, RegisterPayment
from payonce.domain.events import TokenIssued
from payonce.domain.terms import Terms, body_hash_of, order_id_of
from payonce.ports import OutgoingRecord, Record

NOW = 1_800_000_000
PARTITIONS = 12
COMMANDS, TOKENS, WEBHOOKS = "payments.commands", "payments.tokens", "payments.webhooks"


@dataclass(frozen=True, slots=True)
class Life:
    """The messages of order number `n`."""

    n: int
    amount: int = 1_250

    @property
    def terms(self) -> Terms:
        """What the client wants paid."""
        return Terms("shop", f"ref-{self.n}", self.amount, "eur", "SALE", "APM", "stripe", "https://shop.example/done")

    @property
    def order_id(self) -> str:
        """Its id."""
        return order_id_of("shop", f"ref-{self.n}")

    @property
    def session_id(self) -> str:
        """The PSP's token."""
        return f"cs_test_{self.n}"

    @property
    def intent_id(self) -> str:
        """The PSP's payment."""
        return f"pi_{self.n}"

    @property
    def command(self) -> RegisterPayment:
        """The registration of the first attempt."""
        return RegisterPayment(
            order_id=self.order_id,
            attempt=1,
            terms=self.terms,
            body_hash=body_hash_of(self.terms),
            issued_at=NOW,
            expires_at=NOW + 7_200,
            success_url="https://pay.example/return",
            cancel_url="https://pay.example/return?via=cancel",
            api_version="2026-10-28.endive",
        )

    def register(self, description: str | None = None) -> OutgoingRecord:
        """The command; a description is the client's own text."""
        command = self.command
        if description is not None:
            terms = replace(self.terms, description=description)
            command = replace(command, terms=terms, body_hash=body_hash_of(terms))
        return _own(command)

    def token(self) -> OutgoingRecord:
        """The worker's answer."""
        return _own(
            TokenIssued(
                order_id=self.order_id,
                attempt=1,
                body_hash=self.command.body_hash,
                command_id=self.command.command_id,
                psp="stripe",
                session_id=self.session_id,
                hosted_page_url=f"https://checkout.example/{self.session_id}",
                client_secret=None,
                expires_at=NOW + 7_200,
                psp_request_id="req_1",
            )
        )

    def paid(self) -> OutgoingRecord:
        """checkout.session.completed of a paid session."""
        session = {
            "id": self.session_id,
            "object": "checkout.session",
            "status": "complete",
            "payment_status": "paid",
            "amount_total": self.amount,
            "currency": "eur",
            "payment_intent": self.intent_id,
            "metadata": self._metadata(),
        }
        return webhook(f"evt_paid_{self.n}", "checkout.session.completed", session, key=self.order_id)

    def succeeded(self) -> OutgoingRecord:
        """payment_intent.succeeded, which names the charge."""
        intent = {
            "id": self.intent_id,
            "object": "payment_intent",
            "status": "succeeded",
            "amount_received": self.amount,
            "currency": "eur",
            "latest_charge": f"ch_{self.n}",
            "metadata": self._metadata(),
        }
        return webhook(f"evt_succeeded_{self.n}", "payment_intent.succeeded", intent, key=self.order_id)

    def refund(self, amount: int, number: int = 1) -> OutgoingRecord:
        """refund.created: it names the PaymentIntent, never our order."""
        refund = {
            "id": f"re_{self.n}_{number}",
            "object": "refund",
            "status": "succeeded",
            "amount": amount,
            "currency": "eur",
            "payment_intent": self.intent_id,
            "charge": f"ch_{self.n}",
            "metadata": {},
        }
        return webhook(f"evt_refund_{self.n}_{number}", "refund.created", refund, key=f"re_{self.n}_{number}")

    def dispute(self, status: str = "needs_response") -> OutgoingRecord:
        """charge.dispute.* as older API versions send it: only the charge tells whose it is."""
        dispute = {
            "id": f"dp_{self.n}",
            "object": "dispute",
            "status": status,
            "amount": self.amount,
            "currency": "eur",
            "charge": f"ch_{self.n}",
            "payment_intent": None,
            "balance_transactions": [],
            "metadata": {},
        }
        kind = "closed" if status in {"won", "lost"} else "created"
        return webhook(f"evt_dispute_{self.n}_{kind}", f"charge.dispute.{kind}", dispute, key=f"dp_{self.n}")

    def refresh(self) -> OutgoingRecord:
        """Return a question about the order, which is no fact of it."""
        asked = RefreshPayment(self.order_id, f"refresh-{self.n}", (), "a test", NOW, "2026-10-28.endive")
        return _own(asked)

    def whole(self) -> list[OutgoingRecord]:
        """Everything, in the order of the story."""
        return [self.register(), self.token(), self.paid(), self.succeeded(), self.refund(250), self.dispute()]

    def _metadata(self) -> dict[str, str]:
        return {"order_id": self.order_id, "attempt": "1", "body_hash": self.command.body_hash}


def webhook(event_id: str, kind: str, value: Mapping[str, Any], *, key: str, livemode: bool = False) -> OutgoingRecord:
    """Return a verified webhook as checkout_api would publish it."""
    event = {
        "id": event_id,
        "object": "event",
        "type": kind,
        "created": NOW + 60,
        "livemode": livemode,
        "api_version": "2026-10-28.endive",
        "data": {"object": value},
    }
    return webhook_record(orjson.dumps(event), event, key=key, received_at=NOW + 61.0)


def foreign_session() -> OutgoingRecord:
    """A session of another app; that its client_reference_id names our order proves nothing."""
    session = {
        "id": "cs_test_foreign",
        "object": "checkout.session",
        "status": "complete",
        "payment_status": "paid",
        "amount_total": 1_250,
        "currency": "eur",
        "payment_intent": "pi_foreign",
        "client_reference_id": Life(1).order_id,
        "metadata": {},
    }
    return webhook("evt_foreign", "checkout.session.completed", session, key="cs_test_foreign")


def garbage(topic: str, value: bytes = b"\x00not json") -> OutgoingRecord:
    """Bytes that are no message."""
    headers = (("ce_id", b"x"), ("ce_type", b"payonce.RegisterPayment.v1"))
    return OutgoingRecord(topic=topic, key=b"?", value=value, headers=headers)


class Log:
    """Gives records their place: a partition by key, the next offset in it."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, int], itertools.count[int]] = {}

    def append(self, records: Iterable[OutgoingRecord]) -> list[Record]:
        """Return the records as a consumer reads them."""
        return [self._placed(record) for record in records]

    def _placed(self, record: OutgoingRecord) -> Record:
        partition = sum(record.key or b"") % PARTITIONS
        offsets = self._next.setdefault((record.topic, partition), itertools.count())
        return Record(
            record.topic, partition, next(offsets), record.key, record.value, record.headers, timestamp_ms=NOW * 1000
        )


def _own(message: OwnMessage) -> OutgoingRecord:
    return outgoing(message, at=float(NOW), source="tests")
