"""CancelPayment: see to it that nobody can pay an attempt any more, and say so, or say why not.

An attempt that the ledger does not know is entered as cancelled, so that a registration that comes later finds it.
"""

from __future__ import annotations

from collections.abc import Mapping

from payonce.domain.commands import CancelPayment
from payonce.domain.events import AttemptCancelled, CommandRejected, RejectionReason
from payonce.ports import Registration
from services.psp_worker.caller import Caller
from services.psp_worker.diagnosis import API_VERSION
from services.psp_worker.outcome import with_outcome
from services.psp_worker.psp import Psp
from services.psp_worker.request import registration_key
from services.psp_worker.settling import Settling
from services.psp_worker.voice import Voice
from services.psp_worker.work import Work


class Canceller:
    """Carries out CancelPayment. It waits for a proof as long as that takes."""

    def __init__(self, psp: Psp, voice: Voice, settling: Settling) -> None:
        self._psp = psp
        self._voice = voice
        self._settling = settling

    async def cancel(self, command: CancelPayment, work: Work) -> None:
        """Return when the outcome is durable in ledger and log. Idempotent.

        Raises GatewayFailure (permanent), StoreRejected, LedgerContradicted, Stuck.
        """
        with work.caller(self._psp, command.order_id, live=True) as caller:
            rows = await self._closed(command, work, caller)
        if command.attempt not in rows and _used(rows, command.attempt) is None:
            rows = (await self._psp.ledger.enter(cancelled_entry(command))).rows
        await self._voice.announce(answer_to(command, rows), at=command.issued_at, cause=work.record)

    async def _closed(self, command: CancelPayment, work: Work, caller: Caller) -> Mapping[int, Registration]:
        """Settle the attempt, and those before it: a customer may still stand on an earlier one's page."""
        rows = await self._psp.ledger.rows(command.order_id)
        return {
            attempt: await self._settling.close(row, caller, work.record, patient=True)
            if attempt <= command.attempt
            else row
            for attempt, row in sorted(rows.items())
        }


def answer_to(command: CancelPayment, rows: Mapping[int, Registration]) -> AttemptCancelled | CommandRejected:
    """Return what to say, given the order's rows after everything up to this attempt was settled. Pure."""
    used = _used(rows, command.attempt)
    row = rows.get(command.attempt)
    if used is not None:
        return _rejected(command, "order_used", f"attempt {used.attempt} is paid, or being paid")
    if row is None or row.state == "rejected":
        return _rejected(command, "unknown_attempt", f"there is no attempt {command.attempt}")
    proof = row.proof or "the attempt is closed"
    return AttemptCancelled(
        order_id=command.order_id, command_id=command.command_id, attempt=command.attempt, proof=proof
    )


def cancelled_entry(command: CancelPayment) -> Registration:
    """Return the row of an attempt that was cancelled before the ledger knew it; it can never be called. Pure."""
    proof = "no request was ever sent for this attempt"
    row = Registration(
        order_id=command.order_id,
        attempt=command.attempt,
        body_hash="",
        command_id=command.command_id,
        idempotency_key=registration_key(command.order_id, command.attempt),
        api_version=API_VERSION,
        request={},
        first_try_at=float(command.issued_at),
        last_try_at=float(command.issued_at),
        expires_at=command.issued_at,
        state="cancelled",
        proof=proof,
    )
    cancelled = AttemptCancelled(
        order_id=command.order_id, command_id=command.command_id, attempt=command.attempt, proof=proof
    )
    return with_outcome(row, cancelled)


def _used(rows: Mapping[int, Registration], last: int) -> Registration | None:
    return next((row for attempt, row in rows.items() if attempt <= last and row.state == "used"), None)


def _rejected(command: CancelPayment, reason: RejectionReason, detail: str) -> CommandRejected:
    return CommandRejected(
        order_id=command.order_id,
        command_id=command.command_id,
        command_type="CancelPayment",
        attempt=command.attempt,
        body_hash=None,
        reason=reason,
        detail=detail,
    )
