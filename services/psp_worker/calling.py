"""Trying one row's request: written down, sent, judged, and again under the same key, until the row says what it did.

The same for every call that could make a page or move money; `Errand` is what differs. Nothing is published here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from payonce.ports import GatewayFailure, RefundEntry, Registration
from services.psp_worker.caller import Caller
from services.psp_worker.pace import Endpoint
from services.psp_worker.sending import CallNotWanted
from services.psp_worker.timing import CALL_WITHIN_SECONDS

Row = TypeVar("Row", Registration, RefundEntry)


class Errand(Protocol[Row]):
    """One kind of call. Its rows are `calling` while it is worth trying."""

    endpoint: Endpoint

    async def send(self, row: Row) -> Row:
        """Make the row's request and return the row with its outcome. Raises GatewayFailure."""
        ...

    async def write(self, row: Row) -> Row:
        """Store a try over a row that is calling, an outcome over one that is calling or unknown.

        Return the row as it is stored then. Raises LedgerContradicted if the row is gone.
        """
        ...

    async def contradicted(self, row: Row, stored: Row, caller: Caller) -> None:
        """Undo what `row` has got if `stored`, settled by others meanwhile, does not have it."""
        ...

    def too_late(self, row: Row, *, now: float) -> Row | None:
        """Return the row to write instead of a call, None while a call is allowed."""
        ...

    def refused(self, row: Row, failure: GatewayFailure) -> Row:
        """Return the row of a first request that was refused."""
        ...

    def unknown(self, row: Row, detail: str) -> Row:
        """Return the row of which nobody knows what its requests did."""
        ...


class Calling(Generic[Row]):
    """One row in state calling, until it is not. A crash at any await is harmless: the same key comes again."""

    def __init__(
        self, errand: Errand[Row], caller: Caller, row: Row, *, first_try: bool, written_at: float | None
    ) -> None:
        self._errand: Errand[Row] = errand
        self._caller = caller
        self._clock = caller.psp.clock
        self._row: Row = row
        self._first_try = first_try
        self._written_at = written_at  # monotonic; None: the next try is not written down yet

    async def until_answered(self) -> Row:
        """Return the row as the ledger holds it: with an outcome, or unknown. Raises LedgerContradicted, Stuck."""
        while self._row.state == "calling":
            await self._run_once()
        return self._row

    async def _run_once(self) -> None:
        first_try = self._first_try
        try:
            answered = await self._caller.call(self._errand.endpoint, self._send, ready=self)
        except CallNotWanted:
            return
        except GatewayFailure as failure:
            await self._obey(failure, first_try=first_try)
            return
        await self._store(answered)

    async def _send(self) -> Row:
        self._first_try, self._written_at = False, None
        return await self._errand.send(self._row)

    async def _obey(self, failure: GatewayFailure, *, first_try: bool) -> None:
        match failure.kind:
            case "transient" | "rate_limited" | "configuration":
                await self._caller.pause(failure)
            case "permanent" if first_try:
                await self._store(self._errand.refused(self._row, failure))
            case "permanent":
                await self._store(self._errand.unknown(self._row, f"refused after an earlier try: {failure.detail}"))
            case "mismatch" | "replayed_failure":
                await self._store(self._errand.unknown(self._row, failure.detail))

    def is_ready(self) -> bool:
        """Return whether the next try is written down, and not too long ago."""
        return self._written_at is not None and self._clock.monotonic() - self._written_at <= CALL_WITHIN_SECONDS

    async def make_ready(self) -> None:
        """Write the next try down. Raises CallNotWanted if the row has moved on, or it is too late to call."""
        late = self._errand.too_late(self._row, now=self._clock.now())
        if late is not None:
            await self._store(late)
            raise CallNotWanted
        written_at = self._clock.monotonic()  # before the write: a slow one counts
        self._row = await self._errand.write(replace(self._row, last_try_at=self._clock.now()))
        if self._row.state != "calling":
            raise CallNotWanted
        self._written_at = written_at

    async def _store(self, row: Row) -> None:
        self._row = await self._errand.write(row)
        await self._errand.contradicted(row, self._row, self._caller)
