"""RegisterPayment, from the log to its published outcome.

The order of the steps is the guarantee: ledger row, call, answer into the ledger, outcome published; only then is the
command finished. A crash between any two repeats the later ones and makes no second session.
"""

from __future__ import annotations

from typing import assert_never

from payonce.domain.commands import RegisterPayment
from payonce.ports import HOLDING_STATES, GatewayFailure, Registration
from services.psp_worker import outcome
from services.psp_worker.asking import Asking
from services.psp_worker.caller import Caller, Stuck
from services.psp_worker.calling import Calling
from services.psp_worker.closing import Closing, StillOpen
from services.psp_worker.exits import LedgerContradicted
from services.psp_worker.pace import Endpoint
from services.psp_worker.psp import Psp
from services.psp_worker.registration import (
    Ask,
    Call,
    CloseStrays,
    Enter,
    Reject,
    Repeat,
    Settle,
    decide,
    entry_for,
    is_suspect,
    rejected_entry,
)
from services.psp_worker.request import registration_request
from services.psp_worker.settling import Settling
from services.psp_worker.voice import Voice
from services.psp_worker.work import Work

#: Other processes can settle the holder between insert and reading, but not again and again.
_ENTRIES = 5


class Registrar:
    """Carries out RegisterPayment. Any number at once, but one at a time per order."""

    def __init__(self, psp: Psp, voice: Voice, asking: Asking, closing: Closing, settling: Settling) -> None:
        self._psp = psp
        self._voice = voice
        self._asking = asking
        self._settling = settling
        self._errand = _Registration(psp, closing)

    async def register(self, command: RegisterPayment, work: Work) -> None:
        """Return when the command's outcome is durable in ledger and log. Idempotent.

        Raises UnsupportedRegistration before anything is written, StoreRejected, GatewayFailure, LedgerContradicted,
        and Stuck where the command's own row is not what is stuck, or a session stays open that no row names.
        """
        with work.caller(self._psp, command.order_id, live=True) as caller:
            try:
                row = await self._row(command, work, caller)
            except StillOpen:
                raise
            except Stuck as stuck:
                row = await self._left_to_people(command, str(stuck))
        if row is not None:
            await self._tell(row, work)

    async def _row(self, command: RegisterPayment, work: Work, caller: Caller) -> Registration | None:
        """Return the command's row with its outcome; None if it was rejected without one, and that is said."""
        request, keeps_out = registration_request(command), None
        for _ in range(_ENTRIES):
            # Each time afresh: settling takes minutes, and the row must not say that its try left before them.
            now, written_at = self._psp.clock.now(), self._psp.clock.monotonic()
            suspect = is_suspect(command, now=now, seen_before=work.seen_before)
            entry = entry_for(command, request, now=now, suspect=suspect)
            entered = await self._psp.ledger.enter(rejected_entry(entry, command, keeps_out) if keeps_out else entry)
            match decide(entered, command, suspect=suspect):
                case Enter():
                    continue
                case Settle(holder):
                    holder = await self._settling.close(holder, caller, work.record, patient=False)
                    keeps_out = holder if holder.state in HOLDING_STATES else keeps_out
                case Reject(rejection):
                    await self._voice.announce(rejection, at=command.issued_at, cause=work.record)
                    return None
                case Repeat(row):
                    return row
                case CloseStrays(row):
                    await self._asking.close_strays(row, caller, since=float(command.issued_at))
                    return row
                case Ask(row):
                    return await self._asking.until_known(row, caller)
                case Call(row, first_try):
                    written = written_at if entered.new else None
                    return await self._answered(row, caller, first_try=first_try, written_at=written)
                case other_decision:
                    assert_never(other_decision)
        raise LedgerContradicted(f"{command.order_id}/{command.attempt} can neither be entered nor refused")

    async def _answered(
        self, row: Registration, caller: Caller, *, first_try: bool, written_at: float | None
    ) -> Registration:
        calling = Calling(self._errand, caller, row, first_try=first_try, written_at=written_at)
        return await self._asking.until_known(await calling.until_answered(), caller)

    async def _left_to_people(self, command: RegisterPayment, detail: str) -> Registration:
        """Record that the attempt is stuck, unless somebody has settled it meanwhile."""
        row = (await self._psp.ledger.rows(command.order_id)).get(command.attempt)
        if row is None or row.command_id != command.command_id:
            raise Stuck(detail)
        if not outcome.is_unresolved(row):
            return row
        return await self._errand.write(outcome.unknown(row, detail, "retries_exhausted"))

    async def _tell(self, row: Registration, work: Work) -> None:
        said = outcome.recorded_outcome(row.outcome_type, row.outcome_body)
        await self._voice.announce(said, at=row.last_try_at, cause=work.record)
        reason = outcome.dead_letter_reason(said)
        # What ops replays is done with, once the row is final; only what is still unknown goes back to them.
        if reason is not None and (row.state == "unknown" or not work.is_replay):
            await self._voice.set_aside(work.record, reason=reason, error=getattr(said, "detail", reason))


class _Registration:
    """The errand that makes a session."""

    endpoint: Endpoint = "sessions.create"

    def __init__(self, psp: Psp, closing: Closing) -> None:
        self._psp = psp
        self._closing = closing

    async def send(self, row: Registration) -> Registration:
        answer = await self._psp.gateway.register(
            row.request, idempotency_key=row.idempotency_key, api_version=row.api_version
        )
        return outcome.with_token(row, answer.session, answer.request_id)

    async def write(self, row: Registration) -> Registration:
        is_try = row.state == "calling"
        stored = await self._psp.ledger.settle(row, expected=("calling",) if is_try else ("calling", "unknown"))
        if stored is None:
            raise LedgerContradicted(f"the row of {row.order_id}/{row.attempt} is gone")
        return stored

    async def contradicted(self, row: Registration, stored: Registration, caller: Caller) -> None:
        await self._closing.close_if_unknown(row, stored, caller)

    def too_late(self, row: Registration, *, now: float) -> Registration | None:
        return outcome.instead_of_call(row, now=now)

    def refused(self, row: Registration, failure: GatewayFailure) -> Registration:
        return outcome.refused(row, failure)

    def unknown(self, row: Registration, detail: str) -> Registration:
        return outcome.unknown(row, detail)
