"""Asking the PSP about an attempt of which nobody knows whether it has a session: found, proven absent, or not yet.

Absence is proven by a scan that began long enough after the last try. Until then the attempt stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

from payonce.ports import Registration
from services.psp_worker.caller import Caller
from services.psp_worker.closing import Closing
from services.psp_worker.exits import LedgerContradicted
from services.psp_worker.outcome import is_unresolved, not_found, with_token
from services.psp_worker.psp import Psp
from services.psp_worker.scans import Scans
from services.psp_worker.timing import PROOF_AFTER_SECONDS


class Asking:
    """Settles unresolved rows. Nothing is published here."""

    def __init__(self, psp: Psp, scans: Scans, closing: Closing) -> None:
        self._psp = psp
        self._scans = scans
        self._closing = closing

    async def until_known(self, row: Registration, caller: Caller) -> Registration:
        """Return the row once it is resolved; it may take as long as a proof does. Raises LedgerContradicted, Stuck."""
        while is_unresolved(row):
            row = await self.once(row, caller)
            if is_unresolved(row):
                provable_in = row.last_try_at + PROOF_AFTER_SECONDS - self._psp.clock.now()
                await caller.sleep(max(provable_in, 1.0))
        return row

    async def once(self, row: Registration, caller: Caller) -> Registration:
        """Look once; return the row, resolved if something could be proven. Raises LedgerContradicted, Stuck."""
        sighting = await caller.shared(lambda: self._scans.find(row))
        if sighting.sessions:
            return await self._record(with_token(row, sighting.sessions[0], None), caller)
        began_after = sighting.began_at - row.last_try_at
        if began_after < PROOF_AFTER_SECONDS:
            return row
        return await self._record(not_found(row, began_after=began_after, now=self._psp.clock.now()), caller)

    async def close_strays(self, row: Registration, caller: Caller, *, since: float) -> None:
        """Close every session made since then (unix seconds) for an attempt that the ledger holds to have none.

        After a restore the ledger may have forgotten a registration that an earlier one knew. Raises as `once` does.
        """
        searched = replace(row, first_try_at=min(row.first_try_at, since), last_try_at=max(row.last_try_at, since))
        sighting = await caller.shared(lambda: self._scans.find(searched, every=True))
        for session in sighting.sessions:
            await self._closing.close(row, session.session_id, caller)

    async def _record(self, row: Registration, caller: Caller) -> Registration:
        stored = await self._psp.ledger.settle(row, expected=("calling", "unknown"))
        if stored is None:
            raise LedgerContradicted(f"the row of {row.order_id}/{row.attempt} is gone")
        await self._closing.close_if_unknown(row, stored, caller)
        return stored
