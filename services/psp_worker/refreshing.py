"""RefreshPayment: read an order at the PSP and publish what is there, whole, and again what the ledger has recorded.

Asking changes nothing at the PSP, but for one thing: an open session of an attempt that is proven failed was born late,
and is expired when it is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from payonce.catalog import place_in_log
from payonce.domain.commands import RefreshPayment
from payonce.domain.events import PspSnapshot
from payonce.ports import AttachedKind, Reading, Registration
from services.psp_worker.caller import Caller
from services.psp_worker.closing import Closing
from services.psp_worker.neighbours import (
    attached_kinds,
    has_invoice_payments,
    is_foreign,
    is_stray,
    neighbours_of,
    told_of,
)
from services.psp_worker.outcome import may_be_born_late
from services.psp_worker.pace import endpoint_of
from services.psp_worker.psp import Psp
from services.psp_worker.scans import Scans
from services.psp_worker.settling import Settling
from services.psp_worker.voice import Voice
from services.psp_worker.work import Work

#: An order has a handful of objects; whoever names more gets so many.
_OBJECTS_MAX = 100


@dataclass(slots=True)
class _Read:
    """What was read so far."""

    objects: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    date: int = 0

    def add(self, objects: Iterable[Mapping[str, Any]], date: int) -> None:
        self.objects.update({str(each["id"]): told_of(each) for each in objects})
        self.date = max(self.date, date)


class Refresher:
    """Carries out RefreshPayment, under the lower share of the pace."""

    def __init__(self, psp: Psp, voice: Voice, settling: Settling, closing: Closing, scans: Scans) -> None:
        self._psp = psp
        self._voice = voice
        self._settling = settling
        self._closing = closing
        self._scans = scans

    async def refresh(self, command: RefreshPayment, work: Work) -> None:
        """Return when the snapshot is durable in the log. Repeating it reads again.

        Raises GatewayFailure (permanent), LedgerContradicted, RecordTooLarge, Stuck.
        """
        with work.caller(self._psp, command.order_id, live=False) as caller:
            rows = {
                attempt: await self._settling.look(row, caller)
                for attempt, row in sorted((await self._psp.ledger.rows(command.order_id)).items())
            }
            known = [row.session_id for row in rows.values() if row.session_id is not None]
            late = await self._late_born(rows.values(), caller)
            read = _Read()
            for root in dict.fromkeys([*known, *late, *command.psp_ids]):
                await self._follow(root, read, command, rows, caller)
        for row in rows.values():  # whoever recorded it may have ended before it was said
            await self._settling.say(row, work.record)
        snapshot = PspSnapshot(
            order_id=command.order_id,
            command_id=command.command_id,
            refresh_offset=place_in_log(work.record.topic, work.record.offset),
            response_date=read.date,
            objects=tuple(read.objects.values())[:_OBJECTS_MAX],
        )
        await self._voice.announce(snapshot, at=command.issued_at, cause=work.record)

    async def _late_born(self, rows: Iterable[Registration], caller: Caller) -> list[str]:
        """Return the sessions of attempts that are proven to have none."""
        sessions: list[str] = []
        for row in rows:
            if may_be_born_late(row):
                sighting = await caller.shared(lambda row=row: self._scans.find(row, every=True))  # type: ignore[misc]
                sessions += [session.session_id for session in sighting.sessions]
        return sessions

    async def _follow(
        self, root: str, read: _Read, command: RefreshPayment, rows: Mapping[int, Registration], caller: Caller
    ) -> None:
        """Read an object and everything that it leads to; what leads to another order's object says nothing of ours."""
        found, waiting = _Read(), [root]
        seen = set(read.objects)
        while waiting and len(seen) < _OBJECTS_MAX:
            psp_id = waiting.pop(0)
            if psp_id in seen:
                continue
            seen.add(psp_id)
            reading = await self._object(psp_id, command, rows, caller)
            if reading is None:
                continue
            found.add([reading.data], reading.date)
            for kind in attached_kinds(reading.data):
                await self._attached(kind, psp_id, found, command, caller)
            if has_invoice_payments(reading.data):
                waiting += await self._invoice_payments(psp_id, found, command, caller)
            waiting += neighbours_of(reading.data)
        if not any(is_foreign(each, command.order_id) for each in found.objects.values()):
            read.add(found.objects.values(), found.date)

    async def _object(
        self, psp_id: str, command: RefreshPayment, rows: Mapping[int, Registration], caller: Caller
    ) -> Reading | None:
        reading = await self._read(psp_id, command, caller)
        if reading is None or not is_stray(reading.data, command.order_id, rows):
            return reading
        row = rows[int(reading.data["metadata"]["attempt"])]
        await self._closing.close(row, psp_id, caller)
        return await self._read(psp_id, command, caller)

    async def _read(self, psp_id: str, command: RefreshPayment, caller: Caller) -> Reading | None:
        return await caller.ask(
            endpoint_of(psp_id), lambda: self._psp.gateway.object(psp_id, api_version=command.api_version)
        )

    async def _invoice_payments(self, psp_id: str, found: _Read, command: RefreshPayment, caller: Caller) -> list[str]:
        """Read what links an invoice and its payment, unless the other one has been read; return what that names."""
        known = [each for each in found.objects.values() if each["object"] == "invoice_payment"]
        if any(psp_id in neighbours_of(each) for each in known):
            return []
        page = await caller.ask(
            "reads", lambda: self._psp.gateway.invoice_payments(psp_id, api_version=command.api_version)
        )
        found.add(page.objects, page.date)
        return [each for link in page.objects for each in neighbours_of(link)]

    async def _attached(
        self, kind: AttachedKind, payment_intent: str, found: _Read, command: RefreshPayment, caller: Caller
    ) -> None:
        after: str | None = None
        while True:
            page = await caller.ask(
                "refunds.list" if kind == "refund" else "reads",
                lambda after=after: self._psp.gateway.attached(  # type: ignore[misc]
                    kind, payment_intent, after=after, api_version=command.api_version
                ),
            )
            found.add(page.objects, page.date)
            if (after := page.next_after) is None or len(found.objects) >= _OBJECTS_MAX:
                return
