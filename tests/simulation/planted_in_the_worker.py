"""Planted bugs of the worker, its ledger and the API's doors."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from payonce.adapters.ledger_continuity import Continuity
from payonce.codec import outgoing
from payonce.domain.order_row import OrderRow
from payonce.ports import Entered, GatewayFailure, Registration
from services.checkout_api import checkout_page, orders, webhooks
from services.psp_worker import calling, intake, offsets, outcome, registrar, registration
from services.psp_worker.assignment import Assignment
from services.psp_worker.patience import PatientLedger
from services.psp_worker.voice import Voice
from tests.simulation import ledger_tables
from tests.simulation.planted import bug, in_background
from tests.simulation.psp_gateway import SimulatedGateway

# ------------------------------------------------------------------------------------ the worker and Stripe


@bug("one key for every try of an attempt")
def a_new_key_for_every_try(patch: pytest.MonkeyPatch) -> None:
    register = SimulatedGateway.register

    async def afresh(self: SimulatedGateway, request: Any, *, idempotency_key: str, api_version: str) -> Any:
        key = f"{idempotency_key}:{len(self._psp.calls)}"
        return await register(self, request, idempotency_key=key, api_version=api_version)

    patch.setattr(SimulatedGateway, "register", afresh)


@bug("the ledger's row is there before the call")
def no_ledger(patch: pytest.MonkeyPatch) -> None:
    async def enter(self: PatientLedger, registration: Registration) -> Entered:
        return Entered({registration.attempt: registration}, new=True)

    async def settle(self: PatientLedger, registration: Registration, *, expected: object) -> Registration:
        return registration

    patch.setattr(PatientLedger, "enter", enter)
    patch.setattr(PatientLedger, "settle", settle)


@bug("nothing is decided by a ledger that has forgotten what this process wrote")
def a_restored_ledger_goes_unnoticed(patch: pytest.MonkeyPatch) -> None:
    moved = Continuity.moved
    patch.setattr(Continuity, "moved", lambda self, number: None if number is None else moved(self, number))


@bug("one row of an order in calling, open, unknown or used")
def two_rows_may_hold_an_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ledger_tables, "HOLDING_STATES", ())


@bug("the answer is in the ledger before its token is published")
def the_token_before_the_ledger(patch: pytest.MonkeyPatch) -> None:
    settle = PatientLedger.settle

    async def late(self: PatientLedger, registration: Registration, expected: Any) -> None:
        await asyncio.sleep(30.0)  # a moment alone is harmless: whoever repeats the call gets the same session
        await settle(self, registration, expected=expected)

    async def soon(self: PatientLedger, registration: Registration, *, expected: Any) -> Registration:
        in_background(late(self, registration, expected))
        return registration

    patch.setattr(PatientLedger, "settle", soon)


@bug("a timeout is no proof of failure")
def a_timeout_is_taken_for_a_failure(patch: pytest.MonkeyPatch) -> None:
    obey = calling.Calling._obey

    async def hasty(self: Any, failure: GatewayFailure, *, first_try: bool) -> None:
        if failure.kind == "transient":
            failure = GatewayFailure("permanent", failure.detail, http_status=400)
        await obey(self, failure, first_try=True)

    patch.setattr(calling.Calling, "_obey", hasty)


@bug("an attempt for which it is too late is asked about")
def a_stale_attempt_fails_unasked(patch: pytest.MonkeyPatch) -> None:
    instead_of_call = outcome.instead_of_call

    def hasty(row: Registration, *, now: float) -> Registration | None:
        is_stale = outcome.is_stale(row, now)
        return outcome.not_found(row, began_after=0.0, now=now) if is_stale else instead_of_call(row, now=now)

    patch.setattr(outcome, "instead_of_call", hasty)
    patch.setattr(registration, "instead_of_call", hasty)


@bug("a refund has one key for every try")
def a_new_key_for_every_refund(patch: pytest.MonkeyPatch) -> None:
    refund = SimulatedGateway.refund

    async def afresh(self: SimulatedGateway, request: Any, *, idempotency_key: str, api_version: str) -> Any:
        key = f"{idempotency_key}:{len(self._psp.calls)}"
        return await refund(self, request, idempotency_key=key, api_version=api_version)

    patch.setattr(SimulatedGateway, "refund", afresh)


@bug("a cancellation closes the session before it says so")
def cancelled_without_closing(patch: pytest.MonkeyPatch) -> None:
    async def as_if(self: SimulatedGateway, session_id: str, *, idempotency_key: str, api_version: str) -> Any:
        return replace(await self.session(session_id, api_version=api_version), status="expired")

    patch.setattr(SimulatedGateway, "expire", as_if)


@bug("commit only the finished prefix")
def committed_past_what_is_in_flight(patch: pytest.MonkeyPatch) -> None:
    finished = offsets.OpenOffsets.finished

    def past(self: offsets.OpenOffsets, offset: int) -> None:
        finished(self, offset)
        self.committable = max(self.committable or 0, offset + 1)

    patch.setattr(offsets.OpenOffsets, "finished", past)


@bug("what is finished again after a reset is committed again (found by the simulation)")
def what_is_stored_is_not_committed_again(patch: pytest.MonkeyPatch) -> None:
    class Forgetful(Assignment):
        @property
        def kept(self) -> int | None:
            return self.possible[0] if len(self.possible) == 1 else None

        @kept.setter
        def kept(self, _offset: int | None) -> None:
            pass

    patch.setattr(intake, "Assignment", Forgetful)


@bug("a command is finished when its event has its delivery report")
def finished_before_the_report(patch: pytest.MonkeyPatch) -> None:
    async def soon(self: Voice, said: Any, *, at: float, cause: Any) -> None:
        in_background(self._log.publish(outgoing(said, at=at, source="psp_worker")))

    patch.setattr(Voice, "announce", soon)


@bug("the same attempt with another body is a conflict")
def another_body_takes_the_attempt(patch: pytest.MonkeyPatch) -> None:
    decide = registration.decide

    def careless(entered: Entered, command: Any, **known: Any) -> Any:
        row = entered.rows.get(command.attempt)
        return decide(entered, command if row is None else replace(command, body_hash=row.body_hash), **known)

    patch.setattr(registrar, "decide", careless)


# ------------------------------------------------------------------------------------ the doors


@bug("200 to a webhook only when the log has it")
def thanked_before_the_log_has_it(patch: pytest.MonkeyPatch) -> None:
    async def soon(producer: Any, record: Any, seconds: float) -> None:
        in_background(producer.publish(record))

    patch.setattr(webhooks, "publish_within", soon)


@bug("202 to an order only when the log has it (guarantee 1)")
def accepted_before_the_log_has_it(patch: pytest.MonkeyPatch) -> None:
    async def soon(parts: Any, command: Any, traceparent: Any) -> None:
        in_background(parts.producer.publish(outgoing(command, at=parts.clock.now(), source="checkout_api")))

    patch.setattr(orders, "publish_command", soon)


@bug("the page is shown to the one who posted its body (guarantee 3)")
def the_page_of_another_body_is_shown(patch: pytest.MonkeyPatch) -> None:
    open_page = OrderRow.open_page
    patch.setattr(OrderRow, "open_page", lambda self, _hash, now: open_page(self, self.body_hash or "", now))
    patch.setattr(checkout_page, "belongs", lambda order, *_: "wait" if order is None or not order.body_hash else "yes")
