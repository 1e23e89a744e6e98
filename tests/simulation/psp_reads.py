"""ports.PspReads over the simulated Stripe: its list of events, and single objects, on the gateway's bad connection."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from payonce.ports import EventPage, GatewayFailure
from tests.simulation.network import Network
from tests.simulation.psp import Psp
from tests.simulation.psp_gateway import SimulatedGateway
from tests.simulation.scheduler import Incarnation

#: Small, so that the list has more than one page.
_PAGE = 8
_MOST_TYPES = 20


class SimulatedPspReads:
    """Implements ports.PspReads for one incarnation."""

    def __init__(self, psp: Psp, network: Network, rng: random.Random, owner: Incarnation, api_version: str) -> None:
        self._psp = psp
        self._gateway = SimulatedGateway(psp, network, rng, owner)
        self._api_version = api_version

    async def events(
        self,
        types: Sequence[str],
        *,
        created_from: int,
        created_until: int | None = None,
        starting_after: str | None = None,
        undelivered_only: bool = False,
    ) -> EventPage:
        assert len(types) <= _MOST_TYPES, "Stripe refuses more types"

        def found() -> dict[str, Any]:
            newest_first = [
                happening
                for happening in reversed(self._psp.events)
                if happening.kind in types
                and created_from <= happening.created < (created_until or float("inf"))
                and (not undelivered_only or happening.event_id in self._psp.undelivered)
            ]
            names = [happening.event_id for happening in newest_first]
            if starting_after is not None and starting_after not in names:
                return {"data": None}
            start = 0 if starting_after is None else names.index(starting_after) + 1
            page = newest_first[start : start + _PAGE]
            return {"data": [each.body.decode() for each in page], "has_more": start + _PAGE < len(newest_first)}

        listed = await self._gateway._read(found)
        if listed["data"] is None:
            raise GatewayFailure("permanent", "No such event", http_status=400)
        return EventPage([body.encode() for body in listed["data"]], listed["has_more"])

    async def object(self, psp_id: str) -> Mapping[str, Any] | None:
        reading = await self._gateway.object(psp_id, api_version=self._api_version)
        return None if reading is None else reading.data

    async def sessions_of(self, payment_intent: str) -> Sequence[Mapping[str, Any]]:
        def found() -> dict[str, Any]:
            sessions = [record.object for record in self._psp.sessions.values()]
            return {"data": [each for each in sessions if each["payment_intent"] == payment_intent]}

        sessions: Sequence[Mapping[str, Any]] = (await self._gateway._read(found))["data"]
        return sessions

    async def invoices_of(self, payment_intent: str) -> Sequence[str]:
        await self._gateway._read(dict)
        return []
