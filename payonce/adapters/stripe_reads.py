"""Reading at Stripe for the reconciler, behind ports.PspReads: events as Stripe's own bytes, and objects by their id.

It asks only what it is asked: no retries, no pace, no judgement of whose an object is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from payonce.adapters.stripe import Answer
from payonce.ports import EventPage, GatewayFailure, Reading

PAGE_SIZE: Final = 100


class Reader(Protocol):
    """The part of the Stripe gateway that reads. Both raise GatewayFailure."""

    async def get(self, path: str, params: Mapping[str, Any], *, api_version: str) -> Answer:
        """Read a path."""
        ...

    async def object(self, psp_id: str, *, api_version: str) -> Reading | None:
        """Read an object by its id."""
        ...


class _List(msgspec.Struct):
    """A list object; its elements stay the bytes that they are."""

    data: list[msgspec.Raw]
    has_more: bool


class StripeReads:
    """Implements ports.PspReads. Objects come in the shape of `api_version`; events in the one they were made with."""

    def __init__(self, gateway: Reader, *, api_version: str) -> None:
        self._gateway = gateway
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
        created = {"gte": created_from} | ({} if created_until is None else {"lt": created_until})
        params: dict[str, Any] = {"types": list(types), "created": created, "limit": PAGE_SIZE}
        if starting_after is not None:
            params["starting_after"] = starting_after
        if undelivered_only:
            params["delivery_success"] = False
        page = await self._list("/v1/events", params)
        return EventPage([bytes(event) for event in page.data], page.has_more)

    async def object(self, psp_id: str) -> Mapping[str, Any] | None:
        reading = await self._gateway.object(psp_id, api_version=self._api_version)
        return None if reading is None else reading.data

    async def sessions_of(self, payment_intent: str) -> Sequence[Mapping[str, Any]]:
        page = await self._list("/v1/checkout/sessions", {"payment_intent": payment_intent, "limit": PAGE_SIZE})
        return [msgspec.json.decode(session, type=dict[str, Any]) for session in page.data]

    async def invoices_of(self, payment_intent: str) -> Sequence[str]:
        payment = {"type": "payment_intent", "payment_intent": payment_intent}
        page = await self._list("/v1/invoice_payments", {"payment": payment, "limit": PAGE_SIZE})
        links = [msgspec.json.decode(link, type=dict[str, Any]) for link in page.data]
        return [str(link["invoice"]) for link in links if link.get("invoice")]

    async def _list(self, path: str, params: Mapping[str, Any]) -> _List:
        answer = await self._get(path, params)
        try:
            return msgspec.json.decode(answer.body, type=_List)
        except msgspec.DecodeError as error:  # of which a wrong shape is one kind
            raise GatewayFailure("transient", f"not a list object: {error}", request_id=answer.request_id) from error

    async def _get(self, path: str, params: Mapping[str, Any]) -> Answer:
        return await self._gateway.get(path, params, api_version=self._api_version)
