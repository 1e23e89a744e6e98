"""The conversation with the PSP about one row: try, wait, try again under the same key, until the row is settled.

Every request is written down before it leaves, paced, and judged by outcome.py. Nothing is published here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

import structlog

from payonce.ports import Clock, GatewayFailure, Ledger, PaymentGateway, Registration
from payonce.telemetry import psp_call_seconds, psp_calls_total
from services.psp_worker.exits import LedgerContradicted
from services.psp_worker.holds import Holds
from services.psp_worker.outcome import (
    AwaitConfiguration,
    Finish,
    RetryAfter,
    Verdict,
    after_answer,
    after_failure,
    instead_of_call,
)
from services.psp_worker.pace import Pacer
from services.psp_worker.slots import Slot
from services.psp_worker.timing import CALL_WITHIN_SECONDS, CONFIGURATION_RETRY_SECONDS

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Psp:
    """What every call needs."""

    gateway: PaymentGateway
    ledger: Ledger
    pacer: Pacer
    holds: Holds
    clock: Clock
    jitter: Callable[[], float]


class Calling:
    """One row in state calling, until it is settled. A crash at any await is harmless: the same key comes again."""

    def __init__(self, psp: Psp, row: Registration, slot: Slot, *, first_try: bool, written_at: float | None) -> None:
        self._psp = psp
        self._row = row
        self._slot = slot
        self._first_try = first_try
        self._written_at = written_at  # monotonic; None: the next try is not written down yet
        self._failures = 0
        self._probing = ExitStack()  # while this call is the one that tries our credentials
        self._is_probe = False

    async def until_settled(self) -> Registration:
        """Return the row as the ledger holds it, with an outcome. Raises LedgerContradicted."""
        with self._probing:
            while self._row.state == "calling":
                await self._run_once()
        return self._row

    async def _run_once(self) -> None:
        if self._psp.holds.is_held("configuration") and not self._is_probe:
            async with self._slot.given_back():
                await self._psp.holds.cleared("configuration")
        if await self._may_leave():
            await self._obey(await self._try())

    async def _may_leave(self) -> bool:
        """Wait for this call's turn, with its try written down just before; False if the row asks for no call now."""
        psp = self._psp
        async with psp.pacer.line:
            while True:
                await psp.pacer.due()
                if self._is_written():
                    break
                await self._write_try()
                if self._row.state != "calling":
                    return False
            too_late = instead_of_call(self._row, first_try=self._first_try, now=psp.clock.now())
            if too_late is None:
                psp.pacer.left()
                return True
        await self._settle(too_late)
        return False

    async def _try(self) -> Verdict:
        psp, row = self._psp, self._row
        self._written_at = None
        first_try, self._first_try = self._first_try, False
        began = psp.clock.monotonic()
        try:
            answer = await psp.gateway.register(
                row.request, idempotency_key=row.idempotency_key, api_version=row.api_version
            )
        except GatewayFailure as failure:
            self._failures += 1
            psp_calls_total.labels(failure.kind).inc()
            return after_failure(row, failure, first_try=first_try, failures=self._failures, jitter=psp.jitter())
        finally:
            psp_call_seconds.observe(psp.clock.monotonic() - began)
        psp_calls_total.labels("ok").inc()
        return after_answer(row, answer)

    async def _obey(self, verdict: Verdict) -> None:
        if isinstance(verdict, AwaitConfiguration):
            await self._await_configuration(verdict.detail)
            return
        self._probing.close()  # any other answer: our credentials are accepted
        self._is_probe = False
        match verdict:
            case Finish(row):
                await self._settle(row)
            case RetryAfter(seconds, slower):
                if slower:
                    self._psp.pacer.slow_down()
                async with self._slot.given_back():
                    await self._psp.clock.sleep(seconds)

    async def _await_configuration(self, detail: str) -> None:
        if not self._is_probe and self._psp.holds.is_held("configuration"):
            return  # another call probes already; this one waits at the start of its next round
        if not self._is_probe:
            self._is_probe = True
            self._probing.enter_context(self._psp.holds.holding("configuration"))
            log.error("psp_refuses_our_credentials", order_id=self._row.order_id, detail=detail)
        async with self._slot.given_back():
            await self._psp.clock.sleep(CONFIGURATION_RETRY_SECONDS)

    def _is_written(self) -> bool:
        return self._written_at is not None and self._psp.clock.monotonic() - self._written_at <= CALL_WITHIN_SECONDS

    async def _write_try(self) -> None:
        clock = self._psp.clock
        written_at = clock.monotonic()  # before the write: a slow one counts
        tried = replace(self._row, last_try_at=clock.now())
        self._row = _present(await self._psp.ledger.settle(tried, expected=("calling",)), tried)
        self._written_at = written_at

    async def _settle(self, row: Registration) -> None:
        stored = _present(await self._psp.ledger.settle(row, expected=("calling", "unknown")), row)
        if row.session_id is not None and stored.session_id != row.session_id:
            # Somebody settled the attempt without this session. Expiring it enters here; its page was shown to nobody.
            raise LedgerContradicted(f"{row.order_id}/{row.attempt}: {row.session_id}, but the row is {stored.state}")
        self._row = stored


def _present(stored: Registration | None, row: Registration) -> Registration:
    if stored is None:
        raise LedgerContradicted(f"the row of {row.order_id}/{row.attempt} is gone")
    return stored
