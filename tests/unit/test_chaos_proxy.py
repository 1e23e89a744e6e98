"""The fault proxy: transparent in clear weather, and each trouble is the trouble it says it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sandbox.chaos.proxy import Link
from sandbox.chaos.weather import CLEAR, SILENT, Weather

LOOPBACK = "127.0.0.1"
DEADLINE_SECONDS = 10.0


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Link, int, list[bytes]]]:
    """A server that repeats what it hears behind a link: the link, its port, what the server heard."""
    heard: list[bytes] = []

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                heard.append(piece)
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        except ConnectionError:
            heard.append(b"(reset)")
        finally:
            writer.close()

    server = await asyncio.start_server(repeat, LOOPBACK, 0)
    link = Link(server.sockets[0].getsockname()[1])
    port = await link.open(0)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield link, port, heard
    finally:
        await link.close()
        server.close()


async def test_clear_weather_passes_bytes_both_ways_and_the_end_of_each() -> None:
    sent = bytes(range(256)) * 4_000
    async with linked() as (_, port, heard):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(sent)
        writer.write_eof()

        assert await reader.read() == sent
        assert b"".join(heard) == sent
        writer.close()


async def test_a_cut_link_resets_both_sides_and_serves_the_next_connection() -> None:
    async with linked() as (link, port, heard):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"

        assert link.cut() == 1
        with pytest.raises(ConnectionResetError):
            await reader.read()
        while heard[-1] != b"(reset)":
            await asyncio.sleep(0.01)

        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(b"two")
        assert await reader.readexactly(3) == b"two"
        writer.close()


async def test_a_silent_link_loses_nothing_and_delivers_when_it_is_over() -> None:
    async with linked() as (link, port, heard):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"

        link.change(SILENT)
        writer.write(b"during")
        late = asyncio.ensure_future(reader.readexactly(6))
        new_reader, new_writer = await asyncio.open_connection(LOOPBACK, port)  # accepted, as by a dead network
        new_writer.write(b"newly!")
        done, _ = await asyncio.wait([late], timeout=0.1)
        assert not done
        assert heard == [b"before"]

        link.change(CLEAR)
        assert await late == b"during"
        assert await new_reader.readexactly(6) == b"newly!"
        writer.close()
        new_writer.close()


async def test_a_server_that_is_away_is_a_reset_for_the_client() -> None:
    link = Link(1)  # nobody listens there
    port = await link.open(0)
    reader, _ = await asyncio.open_connection(LOOPBACK, port)

    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), DEADLINE_SECONDS)

    await link.close()


@pytest.mark.parametrize(
    ("weather", "size", "seconds"),
    [
        (CLEAR, 1_000_000, 0.0),
        (Weather(latency_seconds=0.2), 1_000_000, 0.2),
        (Weather(bytes_per_second=1_000), 500, 0.5),
        (Weather(latency_seconds=0.2, bytes_per_second=1_000), 500, 0.7),
    ],
)
def test_slow_weather_holds_a_piece_back_by_latency_and_size(weather: Weather, size: int, seconds: float) -> None:
    assert weather.delay(size) == pytest.approx(seconds)


async def test_a_slow_link_still_delivers_everything_in_order() -> None:
    sent = bytes(range(256)) * 2_000
    async with linked() as (link, port, _):
        link.change(Weather(latency_seconds=0.001, bytes_per_second=50_000_000))
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(sent)
        writer.write_eof()

        assert await reader.read() == sent
        writer.close()
