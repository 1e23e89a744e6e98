"""One planted bug for each race: what keeps the two things that happen at once from happening twice, left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from payonce.domain import merge
from payonce.domain.commands import CancelPayment
from payonce.ports import Registration, Session
from services.psp_worker.caller import Caller
from services.psp_worker.cancelling import Canceller
from services.psp_worker.closing import Closing
from services.psp_worker.work import Work
from tests.simulation.planted import race_bug
from tests.simulation.planted_in_the_worker import a_new_key_for_every_refund


@race_bug("attempt_against_payment", "an earlier attempt's page is closed before the next one begins")
def the_earlier_page_stays_open(patch: pytest.MonkeyPatch) -> None:
    async def believe(self: Closing, row: Registration, session_id: str, caller: Caller) -> Session:
        session = await self.look(session_id, caller, api_version=row.api_version)
        return replace(session, status="expired") if session.status == "open" else session

    patch.setattr(Closing, "close", believe)


@race_bug("cancel_against_payment", "an attempt is said to be cancelled when Stripe has closed its page")
def cancelled_in_the_ledger_alone(patch: pytest.MonkeyPatch) -> None:
    async def unasked(
        self: Canceller, command: CancelPayment, _work: Work, _caller: Caller
    ) -> Mapping[int, Registration]:
        rows = await self._psp.ledger.rows(command.order_id)
        return {number: replace(row, state="cancelled") if row.state == "open" else row for number, row in rows.items()}

    patch.setattr(Canceller, "_closed", unasked)


@race_bug("refund_against_dispute", "refunds and disputes go on by rank, whichever event comes last")
def the_last_reversal_wins(patch: pytest.MonkeyPatch) -> None:
    joined = merge._join

    def later(ours: Any, theirs: Any) -> Any:
        is_state = isinstance(ours, list) and isinstance(theirs, list)
        return theirs if is_state else joined(ours, theirs)

    patch.setattr(merge, "_join", later)


race_bug("two_refunds", "a refund has one key for every try")(a_new_key_for_every_refund)
