"""Reading at Stripe: exact bytes, every failure a GatewayFailure; against raw answers and against the simulator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from payonce.adapters.stripe import StripeGateway
from payonce.adapters.stripe_reads import StripeReads
from payonce.domain.psp_webhooks import WANTED_TYPES
from payonce.ports import GatewayFailure
from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.server import SimulatorServer
from services.psp_worker.request import registration_key, registration_request
from services.reconciler.missed_events import TYPE_GROUPS
from tests.fakes.registrations import register

VERSION = "2026-10-28.endive"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def playing(handler: Handler) -> AsyncIterator[tuple[StripeReads, StripeGateway, list[web.Request]]]:
    """A server that answers everything with `handler`."""
    requests: list[web.Request] = []

    async def play(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        return await handler(request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", play)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway = StripeGateway("sk_test_x", f"http://127.0.0.1:{runner.addresses[0][1]}", 5)
    try:
        yield StripeReads(gateway, api_version=VERSION), gateway, requests
    finally:
        await gateway.close()
        await runner.cleanup()


def says(status: int, body: str, **headers: str) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers={"Request-Id": "req_1", **headers})

    return handler


async def test_events_are_the_bytes_that_the_psp_gives() -> None:
    """Blanks, escapes, the order of fields and numbers: whatever a JSON library would write otherwise."""
    first = '{"b": 1.00,  "a":"\\u00e9\\/",\n "c": [ ] }'
    second = '{"id":"evt_2","amount":1e2,"text":"é"}'
    page = f'{{"object": "list", "data": [ {first} ,{second}], "has_more": true, "url": "/v1/events"}}'
    async with playing(says(200, page)) as (reads, _gateway, requests):
        found = await reads.events(["a.b", "c"], created_from=5, created_until=9, starting_after="evt_9")

    assert list(found.events) == [first.encode(), second.encode()]
    assert found.has_more
    query = dict(requests[0].query)
    assert (query["created[gte]"], query["created[lt]"], query["starting_after"]) == ("5", "9", "evt_9")
    assert {query["types[0]"], query["types[1]"]} == {"a.b", "c"}
    assert "delivery_success" not in query
    assert requests[0].headers["Stripe-Version"] == VERSION


@pytest.mark.parametrize("body", ["{}", '{"data": 5, "has_more": false}', '{"data": [], "has_more": "no"}', "[]"])
async def test_what_is_no_list_is_a_failure(body: str) -> None:
    async with playing(says(200, body)) as (reads, _gateway, _requests):
        with pytest.raises(GatewayFailure) as caught:
            await reads.events(["a"], created_from=0)

    assert caught.value.kind == "transient"


async def test_an_object_that_is_not_there_is_none_but_a_proxy_s_404_proves_nothing() -> None:
    missing = json.dumps({"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such"}})
    async with playing(says(404, missing)) as (reads, _gateway, requests):
        assert await reads.object("pi_1") is None
        assert requests[0].path == "/v1/payment_intents/pi_1"
    async with playing(says(404, "<html>")) as (reads, _gateway, _requests):
        with pytest.raises(GatewayFailure):
            await reads.object("pi_1")


async def test_an_id_of_a_kind_that_cannot_be_asked_about_is_none_and_no_id_leaves_its_path() -> None:
    async with playing(says(200, '{"id": "cs_1", "object": "x"}')) as (reads, _gateway, requests):
        assert await reads.object("acct_1") is None
        assert requests == []
        await reads.object("cs_../../v1/customers?a=b")

    folder, _, name = requests[0].raw_path.rpartition("/")
    assert folder == "/v1/checkout/sessions"
    assert "?" not in name


async def test_invoices_of_a_payment_are_asked_for_as_documented() -> None:
    page = '{"object": "list", "data": [{"id": "inpay_1", "invoice": "in_1"}], "has_more": false}'
    async with playing(says(200, page)) as (reads, _gateway, requests):
        assert await reads.invoices_of("pi_1") == ["in_1"]

    query = requests[0].query
    assert requests[0].path == "/v1/invoice_payments"
    assert (query["payment[type]"], query["payment[payment_intent]"]) == ("payment_intent", "pi_1")


# ------------------------------------------------------------------------------------------ the door


async def test_get_gives_body_data_and_headers() -> None:
    async with playing(says(200, '{"id": "x"}', Date="Mon, 23 Nov 2026 06:00:00 GMT")) as (_reads, gateway, requests):
        answer = await gateway.get("/v1/events", {"limit": 1, "created": {"gte": 5}}, api_version=VERSION)

    assert (answer.body, dict(answer.data), answer.request_id) == (b'{"id": "x"}', {"id": "x"}, "req_1")
    assert answer.headers["Date"] == "Mon, 23 Nov 2026 06:00:00 GMT"
    assert requests[0].method == "GET"
    assert "Idempotency-Key" not in requests[0].headers


async def _truncated(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"object": "list", "data": [')
    assert request.transport is not None
    request.transport.abort()
    return response


async def _broken(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(0)
    return web.Response()


ERROR = json.dumps({"error": {"type": "invalid_request_error", "message": "as the PSP says"}})


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (_truncated, "transient"),
        (_broken, "transient"),
        (says(200, "<html>"), "transient"),
        (says(200, "[]"), "transient"),
        (says(500, ERROR), "transient"),
        (says(302, "", Location="http://127.0.0.1:9/"), "transient"),
        (says(429, ERROR), "rate_limited"),
        (says(401, ERROR), "configuration"),
        (says(403, ERROR), "configuration"),
        (says(400, ERROR), "permanent"),
    ],
)
async def test_every_way_to_fail_is_a_gateway_failure(handler: Handler, kind: str) -> None:
    async with playing(handler) as (_reads, gateway, requests):
        with pytest.raises(GatewayFailure) as caught:
            await gateway.get("/v1/events", {}, api_version=VERSION)

    assert caught.value.kind == kind
    # A read whose connection dies before an answer is sent once more by the HTTP library: it changes nothing.
    assert len(requests) == (2 if handler is _broken else 1), "the SDK must not retry by itself"


# ------------------------------------------------------------------------------------------ the simulator


@asynccontextmanager
async def simulator() -> AsyncIterator[tuple[SimulatorServer, StripeGateway, StripeReads]]:
    with SimulatorServer(Config(rate_limit_per_endpoint=0, rate_limit_total=0, seed=7)) as server:
        gateway = StripeGateway("sk_test_payonce", server.url, 10)
        try:
            yield server, gateway, StripeReads(gateway, api_version=VERSION)
        finally:
            await gateway.close()


async def paid_session(server: SimulatorServer, gateway: StripeGateway, name: str) -> dict[str, Any]:
    command = register(name, issued_at=int(server.control.stats()["now"]))
    registered = await gateway.register(
        registration_request(command), idempotency_key=registration_key(command.order_id, 1), api_version=VERSION
    )
    server.control.pay(registered.session.session_id)
    return {"session": registered.session.session_id, "order": command.order_id}


async def test_the_simulator_s_objects_lead_from_payment_to_session_and_order() -> None:
    async with simulator() as (server, gateway, reads):
        made = await paid_session(server, gateway, "r-1")
        session = await reads.object(made["session"])
        assert session is not None
        intent = await reads.object(session["payment_intent"])
        assert intent is not None
        charge = await reads.object(intent["latest_charge"])
        found = await reads.sessions_of(session["payment_intent"])
        absent = [await reads.object(psp_id) for psp_id in ("pi_none", "ch_none", "cs_none")]

    assert session["metadata"]["order_id"] == intent["metadata"]["order_id"] == made["order"]
    assert charge is not None
    assert [each["id"] for each in found] == [made["session"]]
    assert absent == [None, None, None]


async def test_the_simulator_lists_our_events_page_by_page() -> None:
    async with simulator() as (server, gateway, reads):
        for number in range(3):
            await paid_session(server, gateway, f"r-{number}")
        page = await reads.events(TYPE_GROUPS[0], created_from=0)
        events = [json.loads(event) for event in page.events]
        older = await reads.events(TYPE_GROUPS[0], created_from=0, starting_after=events[1]["id"])
        none = await reads.events(TYPE_GROUPS[0], created_from=0, created_until=events[-1]["created"])
        undelivered = await reads.events(TYPE_GROUPS[0], created_from=0, undelivered_only=True)

    assert {event["type"] for event in events} <= set(WANTED_TYPES)
    assert len(events) >= 6
    assert list(older.events) == list(page.events)[2:]
    assert none.events == []
    assert undelivered.events == []  # no endpoint, so nothing is owed to one
