"""Requests about the attempts of an order whose messages have been folded."""

from __future__ import annotations

from typing import Any

import httpx

from payonce.codec import decode
from payonce.domain.commands import Command
from payonce.domain.terms import order_id_of
from payonce.ports import OutgoingRecord, Record
from tests.fakes.checkout_api import World
from tests.fakes.order_messages import cancelled, commanded, expired, failed_later, issued, refused

ORDER_ID = order_id_of("shop", "A-1")
PATH = f"/v1/payment-orders/{ORDER_ID}"
CLOSED: dict[str, list[Any]] = {
    "expired": [commanded(), issued(), expired()],
    "cancelled": [commanded(), issued(), cancelled()],
    "registration_failed": [commanded(), refused()],
    "failed": [commanded(), issued(), failed_later()],
}


async def send(
    world: World, verb: str, body: object = None, *, key: str | None = None, prefer: str | None = None
) -> httpx.Response:
    """Post to the order's attempts or to its cancellation, as the shop unless a key says otherwise."""
    headers = {"Prefer": prefer} if prefer else {}
    async with world.caller(key) if key else world.caller() as caller:
        return await caller.post(f"{PATH}/{verb}", json=body, headers=headers)


def command_in(record: OutgoingRecord) -> Command:
    """Return what was sent to the worker."""
    message = decode(Record(record.topic, 0, 0, record.key, record.value, record.headers))
    assert isinstance(message, Command)
    return message


def fold(world: World, *messages: Any) -> None:
    """Let the fold take messages now."""
    world.archive.fold(*messages)
