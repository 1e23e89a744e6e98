"""A TCP proxy that can be slow, silent, or cut what runs through it. Knows nothing of what the bytes mean.

A silent link behaves like a network that loses everything: nothing arrives, nothing is refused, and what was sent
meanwhile comes late. A cut one ends in a reset on both sides, in the middle of whatever was being said.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from sandbox.chaos.weather import CLEAR, Weather
from sandbox.stack.ports import LOOPBACK

_PIECE_BYTES = 65_536
#: SO_LINGER with no time: closing sends a reset instead of an end.
_RESET = struct.pack("ii", 1, 0)


class Link:
    """One listening loopback port in front of one server's. Lives on one event loop."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._weather = CLEAR
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._conversations: set[asyncio.Task[None]] = set()

    async def open(self, port: int) -> int:
        """Listen on a port (0: any) and return it. Raises OSError if it is taken."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, port)
        opened: int = self._server.sockets[0].getsockname()[1]
        return opened

    async def close(self) -> None:
        """Listen no more and cut everything. Idempotent."""
        if self._server:
            self._server.close()
        self.cut()
        conversations = tuple(self._conversations)
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    def change(self, weather: Weather) -> None:
        """From now on; also for what is being held back."""
        self._weather = weather
        self._changed.set()
        self._changed = asyncio.Event()

    def cut(self) -> int:
        """Reset every connection on both sides; return how many connections of clients that were."""
        writers, self._writers = self._writers, set()
        for writer in writers:
            _reset(writer)
        return (len(writers) + 1) // 2

    async def _serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "streams run each conversation in a task"
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)
        self._writers.add(client)
        server: asyncio.StreamWriter | None = None
        try:
            await self._pass(0)
            server_reader, server = await asyncio.open_connection(LOOPBACK, self._target_port)
            self._writers.add(server)
            await self._talk((client_reader, server), (server_reader, client))
        except OSError:  # one side is gone, or the server refuses: the other side learns it the hard way
            _reset(client)
            if server is not None:
                _reset(server)
        finally:
            self._forget(client, server)

    async def _talk(self, *directions: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        pumps = [asyncio.ensure_future(self._pump(reader, writer)) for reader, writer in directions]
        try:
            await asyncio.gather(*pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE_BYTES):
            await self._pass(len(piece))
            writer.write(piece)
            await writer.drain()
        await self._pass(0)  # an end passes no sooner than the bytes before it
        if writer.can_write_eof():
            writer.write_eof()

    async def _pass(self, size: int) -> None:
        """Hold a piece back as the weather wants; a change of weather counts at once."""
        while self._weather.silent:
            await self._changed.wait()
        delay = self._weather.delay(size)
        if delay:
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait([changed], timeout=delay)
            changed.cancel()

    def _forget(self, *writers: asyncio.StreamWriter | None) -> None:
        for writer in writers:
            if writer is not None:
                self._writers.discard(writer)
                writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
