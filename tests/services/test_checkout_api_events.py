"""Server-sent events of an order: the present state, each change, and an end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest
from starlette.types import Message

from payonce import telemetry
from services.checkout_api.app import create_app
from services.checkout_api.following import HEARTBEAT_SECONDS, LINGER_SECONDS, LONGEST_SECONDS, last_seen
from services.checkout_api.limits import Streams
from tests.fakes.checkout_api import OTHER_KEY, SHOP_KEY, World, row
from tests.fakes.virtual_clock import START, VirtualClock

ORDER = row("registered", updated_at=int(START))
PATH = f"/v1/payment-orders/{ORDER.order_id}/events"


def put(world: World, status: str, version: int, *, silently: bool = False) -> None:
    world.orders.put(row(status, version=version, updated_at=int(world.clock.now())), silently=silently)


async def follow(world: World, last_event_id: str | None = None, key: str = SHOP_KEY) -> httpx.Response:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    async with world.caller(key) as caller:
        return await caller.get(PATH, headers=headers)


def told(answer: httpx.Response) -> list[tuple[int, str]]:
    """Return version and status of each event, read as a browser would."""
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            document = json.loads(fields["data"])
            assert (fields["event"], int(fields["id"])) == ("payment_order", document["version"])
            found.append((document["version"], document["status"]))
    return found


async def test_the_present_state_comes_first_and_then_each_change() -> None:
    world = World()
    world.orders.put(ORDER)
    world.clock.later(20, partial(put, world, "processing", 8))
    world.clock.later(40, partial(put, world, "paid", 9))

    answer = await follow(world)

    assert told(answer) == [(7, "registered"), (8, "processing"), (9, "paid")]
    assert answer.text.startswith("retry: 2000\n\n")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_status_that_stays_ends_the_stream_and_one_that_moves_on_does_not() -> None:
    world = World()
    put(world, "paid", 7)
    world.clock.later(LINGER_SECONDS - 5, partial(put, world, "partially_refunded", 8))

    answer = await follow(world)

    assert told(answer) == [(7, "paid"), (8, "partially_refunded")]
    assert 2 * LINGER_SECONDS - 5 <= world.clock.now() - START <= 2 * LINGER_SECONDS + HEARTBEAT_SECONDS


async def test_a_silent_stream_shows_every_15_seconds_that_it_lives() -> None:
    world = World()
    world.orders.put(ORDER)
    world.clock.later(60, partial(put, world, "expired", 8))

    answer = await follow(world)

    before, _, _ = answer.text.partition('"expired"')
    assert before.count(": still here\n\n") == 3


async def test_no_stream_is_endless() -> None:
    world = World()
    world.orders.put(ORDER)

    answer = await follow(world)

    assert told(answer) == [(7, "registered")]
    assert world.clock.now() - START == LONGEST_SECONDS


@pytest.mark.parametrize(
    ("header", "expected"),
    [("6", [7, 8]), ("7", [8]), ("8", []), ("", [7, 8]), ("x", [7, 8]), ("-1", [7, 8]), ("9" * 30, [7, 8])],
)
async def test_who_comes_back_hears_only_what_is_newer(header: str, expected: list[int]) -> None:
    world = World()
    world.orders.put(ORDER)
    world.clock.later(20, partial(put, world, "paid", 8))

    assert [version for version, _ in told(await follow(world, header))] == expected


async def test_who_comes_back_to_an_order_at_rest_is_told_not_to_come_again() -> None:
    """An EventSource stops for good when it is answered 204."""
    world = World()
    put(world, "paid", 7)
    world.clock.advance(LINGER_SECONDS)

    first, again = await follow(world), await follow(world, "7")

    assert told(first) == [(7, "paid")]
    assert (again.status_code, again.content) == (204, b"")


async def test_a_change_whose_word_was_lost_is_told_all_the_same() -> None:
    world = World()
    world.orders.put(ORDER)
    world.clock.later(20, partial(put, world, "paid", 8, silently=True))

    assert told(await follow(world)) == [(7, "registered"), (8, "paid")]


async def test_postgresql_that_goes_away_and_comes_back_does_not_end_the_stream() -> None:
    world = World()
    world.orders.put(ORDER)

    def back() -> None:
        world.orders.healthy = True
        put(world, "paid", 8, silently=True)

    world.clock.later(20, lambda: setattr(world.orders, "healthy", False))
    world.clock.later(100, back)

    assert told(await follow(world)) == [(7, "registered"), (8, "paid")]


async def test_streams_end_when_the_process_is_about_to() -> None:
    world = World()
    world.orders.put(ORDER)
    world.clock.later(20, world.dependencies.stop_waiting)

    answer = await follow(world)

    assert told(answer) == [(7, "registered")]
    assert world.clock.now() - START <= 25


async def test_an_order_that_is_unknown_or_another_clients_is_404() -> None:
    world = World()
    unknown = await follow(world)
    world.orders.put(ORDER)
    theirs = await follow(world, key=OTHER_KEY)

    assert (unknown.status_code, theirs.status_code) == (404, 404)
    assert unknown.json() == theirs.json()


async def test_postgresql_away_at_the_beginning_is_503() -> None:
    world = World()
    world.orders.healthy = False

    assert (await follow(world)).status_code == 503


async def test_no_client_takes_every_place_and_a_place_is_free_again_however_a_stream_ends() -> None:
    world = World()
    world.orders.put(ORDER)
    object.__setattr__(world.dependencies, "streams", Streams(2, 1))
    with world.dependencies.streams.stream("shop"):
        full = await follow(world)
        other = await follow(world, key=OTHER_KEY)

    assert (full.status_code, int(full.headers["retry-after"])) == (503, 10)
    assert other.status_code == 404
    assert (await follow(world)).status_code == 200
    assert (await follow(world)).status_code == 200
    assert telemetry.event_streams._value.get() == 0


async def test_a_client_that_leaves_frees_its_place_and_its_waiter() -> None:
    world = World()
    world.orders.put(ORDER)
    object.__setattr__(world.dependencies, "streams", Streams(1, 1))
    object.__setattr__(world.dependencies.followed, "_clock", NobodyWakesUp())
    application = create_app(world.dependencies)
    began, left = asyncio.Event(), asyncio.Event()
    requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if requests:
            return requests.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if b"registered" in message.get("body", b""):
            began.set()

    running = asyncio.ensure_future(application(scope(), receive, send))
    await began.wait()
    assert telemetry.event_streams._value.get() == 1
    left.set()
    await running

    assert not any(world.orders.waiters.values())
    assert telemetry.event_streams._value.get() == 0
    with world.dependencies.streams.stream("shop") as opened:
        assert opened


def scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {SHOP_KEY}".encode())],
        "scheme": "https",
        "server": ("pay.example", 443),
        "client": ("203.0.113.1", 1),
    }


class NobodyWakesUp(VirtualClock):
    """A clock in whose sleep nobody wakes up."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize(("header", "version"), [(None, 0), ("", 0), ("7", 7), ("\uff17", 0), ("1e3", 0)])
def test_a_last_event_id_that_is_not_ours_means_nothing_was_seen(header: str | None, version: int) -> None:
    assert last_seen(header) == version


async def test_an_event_without_terms_is_not_told() -> None:
    """A row of which only an event is known is nobody's: there is nothing to follow."""
    world = World()
    world.orders.put(replace(ORDER, client_id=None, body_hash=None))

    assert (await follow(world)).status_code == 404
