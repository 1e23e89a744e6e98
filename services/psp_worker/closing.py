"""Seeing to it that a session cannot be paid any more: expired, and after a doubtful answer looked at.

Each request carries a fresh key: a saved failure would come back for a day.
"""

from __future__ import annotations

import structlog

from payonce.ports import GatewayFailure, Registration, Session
from services.psp_worker.caller import Caller, Stuck
from services.psp_worker.psp import Psp

log = structlog.get_logger()


class StillOpen(Stuck):
    """A session that no row of the ledger names can be paid: people must know, whatever else is known of its order."""


class Closing:
    """Expires sessions. Idempotent; nothing is written or published here."""

    def __init__(self, psp: Psp) -> None:
        self._psp = psp

    async def close(self, row: Registration, session_id: str, caller: Caller) -> Session:
        """Return the session once it is not open: expired by us or by itself, or complete, with its PaymentIntent.

        Raises GatewayFailure (permanent) if the PSP does not know it, Stuck.
        """
        with caller.one_aim():
            while True:
                try:
                    return await caller.call("sessions.expire", lambda: self._expire(row, session_id))
                except GatewayFailure as failure:
                    refusal = failure
                if refusal.kind != "rate_limited":  # else it was refused before it was looked at
                    session = await self.look(session_id, caller, api_version=row.api_version)
                    if session.status != "open":
                        return session
                await caller.pause(refusal)

    async def look(self, session_id: str, caller: Caller, *, api_version: str) -> Session:
        """Return the session as it is. Raises GatewayFailure (permanent) if the PSP does not know it, Stuck."""
        return await caller.ask(
            "sessions.retrieve", lambda: self._psp.gateway.session(session_id, api_version=api_version)
        )

    async def close_if_unknown(self, row: Registration, stored: Registration, caller: Caller) -> None:
        """Close the session of `row` if the ledger, settled by others meanwhile, does not know it.

        Its page was shown to nobody by us. Raises as `close` does, StillOpen instead of Stuck.
        """
        if row.session_id is None or stored.session_id == row.session_id:
            return
        try:
            session = await self.close(row, row.session_id, caller)
        except Stuck as stuck:
            raise StillOpen(f"session {row.session_id}, unknown to the ledger, stays open: {stuck}") from stuck
        log.warning(
            "session_contradicted_the_ledger",
            order_id=row.order_id,
            attempt=row.attempt,
            row=stored.state,
            session=session.status,
        )

    async def _expire(self, row: Registration, session_id: str) -> Session:
        key = self._psp.fresh_key(row.order_id, f"expire:{row.attempt}")
        return await self._psp.gateway.expire(session_id, idempotency_key=key, api_version=row.api_version)
