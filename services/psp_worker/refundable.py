"""Which PaymentIntent a refund is taken from: the one that the command names, or the only one that paid the order.

Whatever is named must say itself that it is this order's: nobody pays back from another one's payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payonce.domain.commands import RefundPayment
from payonce.domain.psp_objects import PspObject
from services.psp_worker.caller import Caller
from services.psp_worker.neighbours import order_of, payers_in
from services.psp_worker.pace import endpoint_of
from services.psp_worker.psp import Psp


@dataclass(frozen=True, slots=True)
class NotRefundable:
    """There is no payment that this refund could be taken from, and why; `among`: there are several."""

    detail: str
    among: tuple[str, ...] = ()


class Refundable:
    """Asks the ledger and the PSP; changes nothing. All raise GatewayFailure (permanent), Stuck."""

    def __init__(self, psp: Psp) -> None:
        self._psp = psp

    async def payment_intent(self, command: RefundPayment, caller: Caller) -> str | NotRefundable:
        """Return the PaymentIntent to refund."""
        if command.payment is None:
            return await self._only_one(command, caller)
        if command.payment.startswith("in_"):
            return await self._of_invoice(command.payment, command, caller)
        if command.payment.startswith("cs_"):
            return await self._of_session(command.payment, command, caller)
        named = await self._own(command.payment, command, caller)
        if named is None or named.get("object") != "payment_intent":
            return NotRefundable(f"{command.payment} is no payment of this order")
        return str(named["id"])

    async def _only_one(self, command: RefundPayment, caller: Caller) -> str | NotRefundable:
        rows = await self._psp.ledger.rows(command.order_id)
        sessions = [row.session_id for row in rows.values() if row.session_id is not None]
        found = [await self._of_session(session_id, command, caller) for session_id in sessions]
        paid = {each for each in found if isinstance(each, str)}
        if len(paid) == 1:
            return paid.pop()
        if paid:
            return NotRefundable("several payments were made: name one", tuple(sorted(paid)))
        return NotRefundable("the order is not paid")

    async def _of_session(self, session_id: str, command: RefundPayment, caller: Caller) -> str | NotRefundable:
        session = await self._own(session_id, command, caller)
        if session is None:
            return NotRefundable(f"{session_id} is no session of this order")
        thing = PspObject.of(session, "checkout.session")
        intent, invoice = thing.reference("payment_intent"), thing.reference("invoice")
        if session.get("payment_status") != "paid":
            return NotRefundable("the order is not paid")
        if intent is None and invoice is not None:
            return await self._paid_by(invoice, command, caller)
        return intent or NotRefundable("nothing was due")

    async def _of_invoice(self, invoice_id: str, command: RefundPayment, caller: Caller) -> str | NotRefundable:
        invoice = await self._own(invoice_id, command, caller)
        return (
            NotRefundable(f"{invoice_id} is no invoice of this order")
            if invoice is None
            else await self._paid_by(invoice_id, command, caller)
        )

    async def _paid_by(self, invoice_id: str, command: RefundPayment, caller: Caller) -> str | NotRefundable:
        links = await caller.ask(
            "reads", lambda: self._psp.gateway.invoice_payments(invoice_id, api_version=command.api_version)
        )
        paid = payers_in(links.objects)
        if len(paid) == 1:
            return paid[0]
        return NotRefundable(f"{invoice_id} was paid by {len(paid)} payments, not by one", tuple(paid))

    async def _own(self, psp_id: str, command: RefundPayment, caller: Caller) -> Mapping[str, Any] | None:
        """Return the object if it says that it is this order's."""
        reading = await caller.ask(
            endpoint_of(psp_id), lambda: self._psp.gateway.object(psp_id, api_version=command.api_version)
        )
        if reading is None:
            return None
        return reading.data if order_of(reading.data) == command.order_id else None
