"""The example shop beside a payonce of which every place is taken: streams that never end, and a checkout that must."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from types import ModuleType

import pytest
from fastapi.responses import StreamingResponse

from payonce.catalog import SCHEMAS

SHOP = SCHEMAS.parent / "examples" / "shop" / "shop.py"
ORDER_ID = "ord_" + "a" * 26
DEADLINE_SECONDS = 20
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: still here\n\n"
PLACED = json.dumps({"checkout_url": "https://pay.example/checkout/1"}).encode()


class Payonce:
    """A server that keeps every stream open, and takes orders."""

    def __init__(self) -> None:
        self.streams = 0
        self.end = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            self.streams += 1
            writer.write(STREAM)
            await writer.drain()
            await self.end.wait()
        else:
            writer.write(b"HTTP/1.1 202 Accepted\r\nconnection: close\r\n")
            writer.write(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(PLACED), PLACED))
        writer.close()


@pytest.fixture
async def payonce(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Payonce]:
    payonce = Payonce()
    server = await asyncio.start_server(payonce.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("API", f"http://127.0.0.1:{port}")
    for name, value in {"KEY": "pk_1", "RETURN_SECRET": "rs_1", "SHOP": "http://127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    yield payonce
    payonce.end.set()
    server.close()
    await server.wait_closed()


def example() -> ModuleType:
    """The file as it stands, loaded anew."""
    spec = importlib.util.spec_from_file_location("example_shop", SHOP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_open_status_pages_do_not_stop_the_checkout(payonce: Payonce) -> None:
    """More pages follow an order than there are places: the checkout works, and who has no place comes back for one."""
    shop = example()
    most = shop.PLACES.max_connections

    async with asyncio.timeout(DEADLINE_SECONDS):
        opened = [await shop.events(ORDER_ID) for _ in range(most)]
        assert payonce.streams == most
        for _ in range(2):
            one_more: StreamingResponse = await shop.events(ORDER_ID)
            assert one_more.status_code == 200
            assert "".join([str(line) async for line in one_more.body_iterator]).startswith("retry: ")
        assert payonce.streams == most
        placed = await shop.checkout("teapot-1")

        assert (placed.status_code, placed.headers["location"]) == (303, "https://pay.example/checkout/1")
        for answer in opened:
            await answer.body_iterator.aclose()
