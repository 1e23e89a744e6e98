"""What to do with a RegisterPayment, given what the ledger holds: pure decisions, no port is touched here.

The ledger is asked with an *entry*, and answers with every row of the order; `decide` reads that answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from payonce.domain.commands import RefundPayment, RegisterPayment
from payonce.domain.events import CommandRejected, RejectionReason
from payonce.ports import HOLDING_STATES, Entered, Registration
from services.psp_worker.outcome import instead_of_call, with_outcome
from services.psp_worker.request import registration_key
from services.psp_worker.timing import KEY_LIFE_SECONDS


@dataclass(frozen=True, slots=True)
class Call:
    """Call the PSP with the row's frozen request. `first_try`: no request with this key can have been sent before."""

    row: Registration
    first_try: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """Nobody knows what the requests with this key did: ask the PSP, make no call."""

    row: Registration


@dataclass(frozen=True, slots=True)
class CloseStrays:
    """The row says that nothing was ever sent, but an earlier ledger may have known better: close what was, repeat."""

    row: Registration


@dataclass(frozen=True, slots=True)
class Settle:
    """Another attempt holds the order: see to it that it cannot be paid, then ask the ledger again."""

    holder: Registration


@dataclass(frozen=True, slots=True)
class Repeat:
    """The row is settled: publish its recorded outcome again, make no call."""

    row: Registration


@dataclass(frozen=True, slots=True)
class Reject:
    """Nothing is written: the rejection follows from rows that other commands made, and repeats itself."""

    outcome: CommandRejected


@dataclass(frozen=True, slots=True)
class Enter:
    """The holder was settled between the insert and the reading: ask the ledger again."""


Decision = Call | Ask | CloseStrays | Settle | Repeat | Reject | Enter


def is_suspect(command: RegisterPayment | RefundPayment, *, now: float, seen_before: bool) -> bool:
    """Return whether an earlier ledger may have known a command that ours does not; `now` is unix seconds.

    `seen_before`: the group had already passed it, so the database came back from an older backup, or offsets were
    reset. One that is older than a key lives may be a replay of something long forgotten.
    """
    return seen_before or now - command.issued_at > KEY_LIFE_SECONDS


def entry_for(command: RegisterPayment, request: Mapping[str, Any], *, now: float, suspect: bool) -> Registration:
    """Return the row to enter for a command that may have none yet; `now` is unix seconds.

    For a suspect command the first try counts from the command's own time.
    """
    row = Registration(
        order_id=command.order_id,
        attempt=command.attempt,
        body_hash=command.body_hash,
        command_id=command.command_id,
        idempotency_key=registration_key(command.order_id, command.attempt),
        api_version=command.api_version,
        request=request,
        first_try_at=command.issued_at if suspect else now,
        last_try_at=now,
        expires_at=command.expires_at,
    )
    return instead_of_call(row, now=now) or row


def decide(entered: Entered, command: RegisterPayment, *, suspect: bool) -> Decision:
    """Return what the command asks for now."""
    row = entered.rows.get(command.attempt)
    if row is None:
        return _without_row(entered.rows, command)
    if row.state == "cancelled":  # perhaps before the first command came: whatever it carries
        return CloseStrays(row) if suspect and row.session_id is None else Repeat(row)
    if row.body_hash != command.body_hash:
        return Reject(rejection(command, "body_mismatch", f"attempt {command.attempt} carries another body"))
    if row.state == "calling":
        return Call(row, first_try=entered.new and not suspect)
    return Ask(row) if row.state == "unknown" else Repeat(row)


def rejection(command: RegisterPayment, reason: RejectionReason, detail: str) -> CommandRejected:
    """Return the rejection of a command; the same command and reason give the same bytes."""
    return CommandRejected(
        order_id=command.order_id,
        attempt=command.attempt,
        body_hash=command.body_hash,
        command_id=command.command_id,
        command_type="RegisterPayment",
        reason=reason,
        detail=detail,
    )


def rejected_entry(entry: Registration, command: RegisterPayment, holder: Registration) -> Registration:
    """Return the row of an attempt that another one keeps out. A row, so that it stays rejected when that has gone."""
    reason: RejectionReason = "order_used" if holder.state == "used" else "previous_unresolved"
    outcome = rejection(command, reason, f"attempt {holder.attempt} holds the order")
    return with_outcome(replace(entry, state="rejected", proof=None), outcome)


def _without_row(rows: Mapping[int, Registration], command: RegisterPayment) -> Decision:
    if command.attempt != max(rows, default=0) + 1:
        detail = f"attempt {command.attempt} does not follow the order's latest attempt"
        return Reject(rejection(command, "attempt_out_of_order", detail))
    holder = next((row for row in rows.values() if row.state in HOLDING_STATES), None)
    return Enter() if holder is None else Settle(holder)
