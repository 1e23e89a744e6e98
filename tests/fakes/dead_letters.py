"""Dead letters to try things with."""

from __future__ import annotations

from dataclasses import replace

from payonce.codec import outgoing, webhook_record
from payonce.dead_letters import Reason, dead_letter
from payonce.domain.commands import Command
from payonce.domain.events import TokenEvent
from payonce.ports import OutgoingRecord, Record
from payonce.ports.ops import Letter
from services.ops_console.letters import letter_of
from tests.fakes.virtual_clock import START


def original(message: Command | TokenEvent, *, offset: int = 7, at: float = START) -> Record:
    """Return the message as its reader got it."""
    return as_read(outgoing(message, at=at, source="test"), offset=offset, at=at)


def as_read(record: OutgoingRecord, *, partition: int = 3, offset: int = 0, at: float = START) -> Record:
    """Return the record as it would be read back."""
    return Record(
        record.topic, partition, offset, record.key, record.value, record.headers, timestamp_ms=int(at * 1000)
    )


def letter_record(
    record: Record, *, reason: Reason = "psp_refused", group: str = "psp_worker", offset: int = 0, at: float = START
) -> Record:
    """Return the record's dead letter as ops_console reads it."""
    letter = dead_letter(record, reason=reason, error="because", group=group, at=at)
    return as_read(letter, partition=1, offset=offset, at=at)


def letter(
    record: Record, *, reason: Reason = "psp_refused", group: str = "psp_worker", offset: int = 0, at: float = START
) -> Letter:
    """Return the row of the record's dead letter."""
    return letter_of(letter_record(record, reason=reason, group=group, offset=offset, at=at))


def garbage(*, offset: int = 9, value: bytes | None = b"\x00no json", key: bytes | None = b"ord_x") -> Record:
    """Return a record of payments.commands that nobody can read."""
    return Record("payments.commands", 3, offset, key, value, (("ce_type", b"payonce.RegisterPayment.v1"),))


def webhook(body: bytes, *, key: str = "pi_1", kind: str = "payment_intent.succeeded", offset: int = 5) -> Record:
    """Return a webhook as its reader got it."""
    event = {"id": "evt_1", "type": kind, "created": int(START), "livemode": False, "api_version": None}
    return replace(as_read(webhook_record(body, event, key=key, received_at=START)), offset=offset)
