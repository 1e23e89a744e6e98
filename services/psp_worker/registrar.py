"""RegisterPayment, from the log to its published outcome.

The order of the steps is the guarantee: ledger row, call, answer into the ledger, outcome published; only then is the
command finished. A crash between any two repeats the later ones and makes no second session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from payonce.domain.commands import RegisterPayment
from payonce.ports import Record, Registration
from services.psp_worker.calling import Calling, Psp
from services.psp_worker.exits import LedgerContradicted
from services.psp_worker.outcome import dead_letter_reason, recorded_outcome
from services.psp_worker.registration import Call, Enter, Reject, Repeat, decide, entry_for, is_suspect
from services.psp_worker.request import registration_request
from services.psp_worker.slots import Slot
from services.psp_worker.voice import Voice

#: Another process can settle the holder between insert and reading, but not again and again.
_ENTRIES = 5


@dataclass(frozen=True, slots=True)
class Work:
    """A command on its way: the record, its place, and whether the group had passed its offset before."""

    record: Record
    slot: Slot
    seen_before: bool


class Registrar:
    """Carries out RegisterPayment. Any number at once, but one at a time per order."""

    def __init__(self, psp: Psp, voice: Voice) -> None:
        self._psp = psp
        self._voice = voice

    async def register(self, command: RegisterPayment, work: Work) -> None:
        """Return when the command's outcome is durable in ledger and log. Idempotent.

        Raises UnsupportedRegistration before anything is written, StoreRejected, LedgerContradicted.
        """
        request = registration_request(command)
        now = self._psp.clock.now()
        suspect = is_suspect(command, now=now, seen_before=work.seen_before)
        entry = entry_for(command, request, now=now, suspect=suspect)
        for _ in range(_ENTRIES):
            written_at = self._psp.clock.monotonic()
            entered = await self._psp.ledger.enter(entry)
            match decide(entered, command, entry, suspect=suspect):
                case Enter(other):
                    entry = other
                case Reject(outcome):
                    return await self._voice.announce(outcome, cause=work.record)
                case Repeat(row):
                    return await self._tell(row, work)
                case Call(row, first_try):
                    written = written_at if entered.new else None
                    calling = Calling(self._psp, row, work.slot, first_try=first_try, written_at=written)
                    return await self._tell(await calling.until_settled(), work)
                case other_decision:
                    assert_never(other_decision)
        raise LedgerContradicted(f"{command.order_id}/{command.attempt} can neither be entered nor refused")

    async def _tell(self, row: Registration, work: Work) -> None:
        outcome = recorded_outcome(row)
        await self._voice.announce(outcome, cause=work.record)
        reason = dead_letter_reason(outcome)
        is_replay = work.record.header("replay-for") is not None
        # What ops replays is done with, once the row is final; only what is still unknown goes back to them.
        if reason is not None and (row.state == "unknown" or not is_replay):
            await self._voice.set_aside(work.record, reason=reason, error=getattr(outcome, "detail", reason))
