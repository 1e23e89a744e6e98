"""Planted bugs of the fold, its shell and its announcements."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from payonce import codec
from payonce.domain import merge, payments
from payonce.domain.events import PspEvent
from payonce.ports import PublishFailed, StoreUnavailable
from services.status_processor import announcing, fold, merging, positions, reading, relay
from services.status_processor.batches import Batches
from tests.simulation.fold_tables import SimulatedFoldTransaction
from tests.simulation.planted import bug, in_background

# ------------------------------------------------------------------------------------ the fold and Faust


@bug("acknowledge only after the commit")
def acknowledged_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    patient = Batches._fold_patiently

    async def at_once(self: Batches, records: Sequence[Any], generation: int) -> bool:
        in_background(patient(self, records, generation))
        return True

    patch.setattr(Batches, "_fold_patiently", at_once)
    patch.setattr(fold, "places_behind", lambda *_: {})  # fold_position would make up for it


@bug("never acknowledge a batch that was given up")
def acknowledged_although_it_failed(patch: pytest.MonkeyPatch) -> None:
    async def once(self: Batches, records: Sequence[Any], generation: int) -> bool:
        with suppress(StoreUnavailable, PublishFailed):
            await self._fold.run_once(records)
        return True

    patch.setattr(Batches, "_fold_patiently", once)


@bug("nothing is skipped because its event id was seen before")
def deduplicated_before_the_fold(patch: pytest.MonkeyPatch) -> None:
    read = fold.Fold.read

    def once(self: fold.Fold, record: Any) -> Any:
        found = read(self, record)
        seen = self.__dict__.setdefault("_seen", {})
        if isinstance(found, reading.Entry) and found.event_id in seen:
            return reading.Passed(record)
        if isinstance(found, reading.Entry):
            seen[found.event_id] = None
        return found

    patch.setattr(fold.Fold, "read", once)


@bug("a merge keeps the greater fact, not the last")
def the_last_event_wins(patch: pytest.MonkeyPatch) -> None:
    def later(ours: Any, theirs: Any) -> Any:
        return merge.merge(ours, theirs) if isinstance(ours, dict) and isinstance(theirs, dict) else theirs

    patch.setattr(merge, "_join", later)


@bug("`created` never decides")
def older_events_are_skipped(patch: pytest.MonkeyPatch) -> None:
    read = fold.Fold.read

    def newer(self: fold.Fold, record: Any) -> Any:
        found = read(self, record)
        if not isinstance(found, reading.Entry) or record.topic != "payments.webhooks":
            return found
        newest = self.__dict__.setdefault("_newest", {})
        if found.occurred_at < newest.get(record.partition, 0):
            return reading.Passed(record)
        newest[record.partition] = found.occurred_at
        return found

    patch.setattr(fold.Fold, "read", newer)


@bug("a status may move back: a refund fails, a dispute is won")
def the_status_never_moves_back(patch: pytest.MonkeyPatch) -> None:
    change_of = announcing.change_of

    def onward(stored: Any, facts: Any, **how: bool) -> Any:
        change = change_of(stored, facts, **how)
        before, after = stored.public["payment_order_status"], change.columns["payment_order_status"]
        if after == "paid" and before in {"refunded", "partially_refunded", "disputed", "charged_back"}:
            return replace(change, columns={**change.columns, "payment_order_status": before}, announcement=None)
        return change

    patch.setattr(merging, "change_of", onward)


@bug("an event without its order waits")
def unknown_references_are_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reading, "may_wait", lambda *_: False)


@bug("a waiting event is looked up when its reference becomes known, after its commit, and swept")
def waiting_events_are_not_looked_up_again(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        return None

    async def nobody(*_: object) -> Sequence[Any]:
        return ()

    async def check(self: fold.Fold) -> None:
        await self._positions.check(self._store)

    patch.setattr(SimulatedFoldTransaction, "parked_for", nobody)  # any one of the three makes up for the others
    patch.setattr(fold.Fold, "_look_again", nothing)
    patch.setattr(fold.Fold, "sweep", check)


@bug("an order belongs to us by its metadata alone")
def the_client_reference_is_trusted(patch: pytest.MonkeyPatch) -> None:
    decode = codec.decode

    def trusting(record: Any) -> Any:
        message = decode(record)
        if isinstance(message, PspEvent) and "client_reference_id" in message.object:
            order_id = message.object["client_reference_id"]
            return replace(message, object={**message.object, "metadata": {"order_id": order_id}})
        return message

    patch.setattr(reading, "decode", trusting)


@bug("money that is not the order's never makes it paid")
def any_amount_pays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(payments, "_is_due", lambda *_: True)


@bug("a batch moves its position only from where this process left it")
def expected_positions_are_ignored(patch: pytest.MonkeyPatch) -> None:
    advance = SimulatedFoldTransaction.advance

    async def regardless(self: SimulatedFoldTransaction, offsets: Any, *, expected: Any) -> None:
        await advance(self, offsets, expected={**expected, **await self.all_positions()})

    patch.setattr(SimulatedFoldTransaction, "advance", regardless)


@bug("a reader whose rows are behind goes back")
def a_restored_database_is_not_followed_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fold, "places_behind", lambda *_: {})


@bug("a database restored while nothing arrives is noticed by the sweep (found by the simulation)")
def a_quiet_restore_goes_unnoticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(positions.Positions, "check", positions.Positions.settle)


@bug("what cannot be folded becomes a dead letter before it is acknowledged")
def garbage_is_acknowledged(patch: pytest.MonkeyPatch) -> None:
    async def nothing(self: fold.Fold, unfoldable: object) -> None:
        return None

    patch.setattr(fold.Fold, "bury", nothing)


# ------------------------------------------------------------------------------------ announcements


@bug("versions pass the database's clock, so that a restore does not take them back")
def versions_are_counted(patch: pytest.MonkeyPatch) -> None:
    change_of = announcing.change_of
    patch.setattr(
        merging, "change_of", lambda stored, *rest, **how: change_of(replace(stored, clock_ms=0), *rest, **how)
    )


@bug("an outbox row goes after its delivery report")
def the_outbox_is_emptied_before_the_report(patch: pytest.MonkeyPatch) -> None:
    publish = relay.Relay._publish

    async def soon(self: relay.Relay, rows: Sequence[Any]) -> None:
        in_background(publish(self, rows))

    patch.setattr(relay.Relay, "_publish", soon)


@bug("after a failed report the relay begins again")
def failed_reports_are_ignored(patch: pytest.MonkeyPatch) -> None:
    publish = relay.Relay._publish

    async def regardless(self: relay.Relay, rows: Sequence[Any]) -> None:
        with suppress(PublishFailed):
            await publish(self, rows)

    patch.setattr(relay.Relay, "_publish", regardless)
