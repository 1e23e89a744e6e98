"""Planted bugs of ops_console and of what the worker makes of a letter that comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.commands import RegisterPayment
from payonce.ports import Registration
from services.ops_console import indexer, planning
from services.ops_console.anchoring import Auditor
from services.ops_console.indexer import Indexer
from services.psp_worker.caller import Caller
from services.psp_worker.registrar import Registrar
from services.psp_worker.registration import entry_for
from services.psp_worker.request import registration_request
from services.psp_worker.work import Work
from tests.simulation.planted import bug


@bug("a replayed record says for whom: every other group lets it pass")
def replays_are_for_everyone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planning, "_for_group", lambda _: ())


@bug("a dead command is decided by the ledger when it comes back")
def a_replay_is_executed_without_the_ledger(patch: pytest.MonkeyPatch) -> None:
    row = Registrar._row

    async def unasked(self: Registrar, command: RegisterPayment, work: Work, caller: Caller) -> Registration | None:
        if not work.is_replay:
            return await row(self, command, work, caller)
        entry = entry_for(command, registration_request(command), now=self._psp.clock.now(), suspect=False)
        return await self._errand.send(replace(entry, idempotency_key=f"{entry.idempotency_key}:replay"))

    patch.setattr(Registrar, "_row", unasked)


@bug("a letter counts as read when it is in the index")
def letters_are_committed_unread(patch: pytest.MonkeyPatch) -> None:
    index = indexer.index

    def forgetful(tx: Any, records: Any) -> None:
        index(tx, records[:1])
        tx.advance(indexer._next_offsets(records))

    patch.setattr(indexer, "index", forgetful)


@bug("a console whose index is behind what it wrote ends (found by the simulation)")
def a_restored_index_goes_unnoticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Indexer, "_compare", lambda *_: None)


@bug("before the audit chain goes on, what payments.ops has of it is in the table")
def a_forgotten_deed_stays_forgotten(patch: pytest.MonkeyPatch) -> None:
    async def believe_the_table(self: Auditor) -> None:
        self._newest = await self._store.run(lambda tx: tx.newest_published())
        self._look_at = float("inf")

    patch.setattr(Auditor, "_look", believe_the_table)
