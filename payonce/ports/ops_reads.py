"""What ops_console reads of other processes' tables: psp_worker's ledger and the fold's timelines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

#: The events that answer a command by saying that it was not carried out.
REFUSALS = ("RegistrationFailed", "RefundRejected", "CommandRejected")


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What psp_worker's ledger says of one attempt."""

    attempt: int
    state: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class RefundView:
    """What psp_worker's ledger says of one refund reference."""

    refund_reference: str
    state: str
    command_id: str


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """One line of an order's timeline, as the fold wrote it."""

    event_id: str
    event_type: str
    occurred_at: datetime
    topic: str
    partition: int
    offset: int
    effect: str
    reason: str | None
