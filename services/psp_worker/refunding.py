"""RefundPayment, from the log to its published outcome: once per reference, whatever is lost on the way.

The order of the steps is the guarantee, as for registrations: ledger row, call, answer into the ledger, outcome
published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payonce.domain.commands import RefundPayment
from payonce.ports import GatewayFailure, RefundEntry
from services.psp_worker import refund_outcome as outcome
from services.psp_worker.caller import Caller, Stuck
from services.psp_worker.calling import Calling
from services.psp_worker.exits import LedgerContradicted
from services.psp_worker.outcome import dead_letter_reason, recorded_outcome
from services.psp_worker.pace import Endpoint
from services.psp_worker.psp import Psp
from services.psp_worker.refundable import NotRefundable, Refundable
from services.psp_worker.registration import is_suspect
from services.psp_worker.timing import PROOF_AFTER_SECONDS
from services.psp_worker.voice import Voice
from services.psp_worker.work import Work


class Refunder:
    """Carries out RefundPayment."""

    def __init__(self, psp: Psp, voice: Voice) -> None:
        self._psp = psp
        self._voice = voice
        self._refundable = Refundable(psp)
        self._errand = _Refund(psp)

    async def refund(self, command: RefundPayment, work: Work) -> None:
        """Return when the command's outcome is durable in ledger and log. Idempotent.

        Raises GatewayFailure (permanent) before anything is written, StoreRejected, LedgerContradicted, Stuck.
        """
        with work.caller(self._psp, command.order_id, live=True) as caller:
            now = self._psp.clock.now()
            suspect = is_suspect(command, now=now, seen_before=work.seen_before)
            row, is_new = await self._row(command, caller, suspect=suspect)
            if row.command_id != command.command_id:
                reused = outcome.reference_reused(command, row)
                await self._voice.announce(reused, at=command.issued_at, cause=work.record)
                return
            try:
                row = await self._settled(row, caller, first_try=is_new and not suspect)
            except Stuck as stuck:
                await self._errand.write(outcome.unknown(row, str(stuck)))
                raise
        await self._tell(row, work)

    async def _row(self, command: RefundPayment, caller: Caller, *, suspect: bool) -> tuple[RefundEntry, bool]:
        """Return the row of the command's reference, and whether it is new."""
        known = await self._psp.ledger.refund(command.order_id, command.refund_reference)
        if known is not None:
            return known, False
        found = await self._refundable.payment_intent(command, caller)
        if isinstance(found, NotRefundable):
            entry = await self._made_before(command, found, caller, suspect=suspect)
        else:
            entry = outcome.entry_for(command, found, now=self._psp.clock.now())
        return await self._psp.ledger.enter_refund(entry)

    async def _made_before(
        self, command: RefundPayment, found: NotRefundable, caller: Caller, *, suspect: bool
    ) -> RefundEntry:
        """Return the row of a refund that no payment is left for, unless an earlier ledger knew it, and of one payment.

        Of several, one may have been the only one then.
        """
        if suspect and found.among:
            await caller.sleep(PROOF_AFTER_SECONDS)  # a try of the process before may be on its way
        for payment_intent in found.among:
            row = outcome.entry_for(command, payment_intent, now=self._psp.clock.now())
            refund = await self._listed(row, caller)
            if refund is not None:
                return outcome.accepted(row, refund)
        proof = "no refund of these payments names this reference" if found.among else "no request was ever sent"
        return outcome.entry_rejected(command, found.detail, proof, now=self._psp.clock.now())

    async def _settled(self, row: RefundEntry, caller: Caller, *, first_try: bool) -> RefundEntry:
        if row.state == "calling":
            calling = Calling(self._errand, caller, row, first_try=first_try, written_at=None)
            row = await calling.until_answered()
        while row.state == "unknown":
            row = await self._asked(row, caller)
            if row.state == "unknown":
                await caller.sleep(max(row.last_try_at + PROOF_AFTER_SECONDS - self._psp.clock.now(), 1.0))
        return row

    async def _asked(self, row: RefundEntry, caller: Caller) -> RefundEntry:
        """Look through the payment's refunds once; return the row, settled if something could be proven."""
        began_after = self._psp.clock.now() - row.last_try_at
        refund = await self._listed(row, caller)
        if refund is not None:
            return await self._errand.write(outcome.accepted(row, refund))
        if began_after < PROOF_AFTER_SECONDS:
            return row
        return await self._errand.write(outcome.failed_proven(row, began_after=began_after))

    async def _listed(self, row: RefundEntry, caller: Caller) -> Mapping[str, Any] | None:
        assert row.payment_intent is not None, "a refund that was asked for names its payment"
        payment_intent, after = row.payment_intent, None
        while True:
            page = await caller.ask(
                "refunds.list",
                lambda after=after: self._psp.gateway.attached(  # type: ignore[misc]
                    "refund", payment_intent, after=after, api_version=row.api_version
                ),
            )
            found = outcome.named_by(page.objects, row)
            if found is not None or page.next_after is None:
                return found
            after = page.next_after

    async def _tell(self, row: RefundEntry, work: Work) -> None:
        said = recorded_outcome(row.outcome_type, row.outcome_body)
        await self._voice.announce(said, at=row.last_try_at, cause=work.record)
        reason = dead_letter_reason(said)
        if reason is not None and not work.is_replay:
            await self._voice.set_aside(work.record, reason=reason, error=getattr(said, "detail", reason))


class _Refund:
    """The errand that pays money back."""

    endpoint: Endpoint = "refunds.create"

    def __init__(self, psp: Psp) -> None:
        self._psp = psp

    async def send(self, row: RefundEntry) -> RefundEntry:
        answer = await self._psp.gateway.refund(
            row.request, idempotency_key=row.idempotency_key, api_version=row.api_version
        )
        return outcome.accepted(row, answer.data)

    async def write(self, row: RefundEntry) -> RefundEntry:
        is_try = row.state == "calling"
        stored = await self._psp.ledger.settle_refund(row, expected=("calling",) if is_try else ("calling", "unknown"))
        if stored is None:
            raise LedgerContradicted(f"the refund {row.refund_reference} of {row.order_id} is gone")
        return stored

    async def contradicted(self, row: RefundEntry, stored: RefundEntry, caller: Caller) -> None:
        """End the process: money cannot be called back. The refund's own events tell the order about it."""
        del caller
        if row.refund_id is not None and stored.refund_id != row.refund_id:
            raise LedgerContradicted(f"{row.order_id}: a refund was made, but the row is {stored.state}")

    def too_late(self, row: RefundEntry, *, now: float) -> RefundEntry | None:
        return outcome.too_late(row, now=now)

    def refused(self, row: RefundEntry, failure: GatewayFailure) -> RefundEntry:
        return outcome.refused(row, failure)

    def unknown(self, row: RefundEntry, detail: str) -> RefundEntry:
        return outcome.unknown(row, detail)
