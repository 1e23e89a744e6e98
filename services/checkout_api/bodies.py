"""Reading a request's body with a limit that is kept while reading: a length header may lie or be missing."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from payonce.problem_documents import Problem

API_LIMIT_BYTES = 64 * 1024
#: Longest wait for a body that trickles in.
BODY_SECONDS = 20.0
#: The rest of such a body is not read, so the connection is of no more use.
_CLOSE = {"Connection": "close"}
_JSON_PREFIX = "/v1/"
_BODIED = {"POST", "PUT", "PATCH", "DELETE"}


async def read_body(receive: Receive, limit_bytes: int, seconds: float = BODY_SECONDS) -> bytes:
    """Return the whole body.

    Raises Problem: 413 at the first byte above the limit, 408 when the time is over. Raises ClientDisconnect if the
    caller left.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit_bytes)
    except TimeoutError as error:
        detail = f"the body did not arrive within {seconds:g} s"
        raise Problem(408, "body_too_slow", detail, headers=_CLOSE) from error


async def _read(receive: Receive, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit_bytes:
            detail = f"the body is larger than {limit_bytes} bytes"
            raise Problem(413, "body_too_large", detail, headers=_CLOSE)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks) if len(chunks) > 1 else chunk


class BoundedJson:
    """Lets only JSON bodies of at most 64 KB through to the application, which reads them from memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] not in _BODIED:
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(receive, API_LIMIT_BYTES)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        except ClientDisconnect:
            return
        if body and scope["path"].startswith(_JSON_PREFIX) and not _is_json(scope):
            detail = "send the body as Content-Type: application/json"
            await Problem(415, "unsupported_media_type", detail).response()(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


def _is_json(scope: Scope) -> bool:
    kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    return bool(kind == b"application/json")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the application the body in one message, then whatever the connection says next."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message
