"""Finding out whether an earlier attempt can still be paid, and seeing to it that it cannot.

The outcome of a row that was unknown is published as soon as it is recorded, for the command that it belongs to.
"""

from __future__ import annotations

from payonce.ports import Record, Registration, Session
from services.psp_worker.asking import Asking
from services.psp_worker.caller import Caller
from services.psp_worker.closing import Closing
from services.psp_worker.exits import LedgerContradicted
from services.psp_worker.outcome import is_unresolved, recorded_outcome, state_of, with_session
from services.psp_worker.psp import Psp
from services.psp_worker.voice import Voice


class Settling:
    """Settles rows of the ledger at the PSP."""

    def __init__(self, psp: Psp, asking: Asking, closing: Closing, voice: Voice) -> None:
        self._psp = psp
        self._asking = asking
        self._closing = closing
        self._voice = voice

    async def close(self, row: Registration, caller: Caller, cause: Record, *, patient: bool) -> Registration:
        """Return the row, settled so that nobody can pay it, or used; unresolved only if not `patient`.

        Raises GatewayFailure (permanent), LedgerContradicted, Stuck.
        """
        row = await self._resolve(row, caller, cause, patient=patient)
        while row.session_id is not None and row.state in {"open", "used"}:
            if row.state == "open":
                session = await self._closing.close(row, row.session_id, caller)
            else:  # it was paid, or being paid: only a failure of that payment sets it free
                session = await self._closing.look(row.session_id, caller, api_version=row.api_version)
            stored = await self._record(row, session)
            if stored.state in {row.state, state_of(session)}:
                return stored
            row = stored  # somebody else has settled it meanwhile
        return row

    async def look(self, row: Registration, caller: Caller) -> Registration:
        """Return the row, settled by looking only; its outcome is not said. Raises as `close` does."""
        if is_unresolved(row):
            row = await self._asking.once(row, caller)
        if row.session_id is not None and row.state in {"open", "used"}:
            row = await self._record(row, await self._closing.look(row.session_id, caller, api_version=row.api_version))
        return row

    async def say(self, row: Registration, cause: Record) -> None:
        """Publish what the row has recorded, once it is resolved. Saying it again is harmless."""
        if not is_unresolved(row):
            said = recorded_outcome(row.outcome_type, row.outcome_body)
            await self._voice.announce(said, at=row.last_try_at, cause=cause)

    async def _resolve(self, row: Registration, caller: Caller, cause: Record, *, patient: bool) -> Registration:
        if not is_unresolved(row):
            return row
        row = await (self._asking.until_known(row, caller) if patient else self._asking.once(row, caller))
        await self.say(row, cause)
        return row

    async def _record(self, row: Registration, session: Session) -> Registration:
        """Compare-and-set from the state that was looked at; a used row leaves only to failed."""
        settled = with_session(row, session)
        if settled.state == row.state or (row.state == "used" and settled.state != "failed"):
            return row
        stored = await self._psp.ledger.settle(settled, expected=(row.state,))
        if stored is None:
            raise LedgerContradicted(f"the row of {row.order_id}/{row.attempt} is gone")
        return stored
