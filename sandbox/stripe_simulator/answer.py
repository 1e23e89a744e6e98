"""An HTTP answer of the API as a value, and how it goes over the wire, injected damage included."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Scope, Send

# The server puts the connection here so that a fault can cut it.
TRANSPORT = "sandbox.transport"


class Damage(Enum):
    """What happens to an answer on its way back."""

    NONE = "none"
    RESET = "reset"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers of one response."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    damage: Damage = Damage.NONE
    anonymous: bool = False  # without a Request-Id


def encode(value: Any) -> bytes:  # Any: JSON
    """Stripe indents its JSON by two spaces, in answers and in webhooks."""
    # Copied, because orjson's bytes keep their working buffer: 20 KB for 3, and thousands of these are kept.
    return bytes(memoryview(orjson.dumps(value, option=orjson.OPT_INDENT_2)))


async def transmit(answer: Answer, scope: Scope, send: Send) -> None:
    """Send the answer. With damage the connection ends early; outside the server that is a ConnectionResetError."""
    if answer.damage is Damage.RESET:
        _cut(scope)
        return
    headers = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(answer.body)).encode())]
    headers += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.damage is Damage.TRUNCATED:
        half = answer.body[: len(answer.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        _close(scope)
        return
    await send({"type": "http.response.body", "body": answer.body})


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport | None = scope.get("extensions", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("injected: the connection was cut")
    return transport


def _cut(scope: Scope) -> None:
    transport = _transport(scope)
    connection = transport.get_extra_info("socket")
    # Zero linger: the peer gets a reset, not an orderly end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _close(scope: Scope) -> None:
    _transport(scope).close()
