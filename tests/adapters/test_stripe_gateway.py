"""The gateway against a server that plays raw answers: what each of them means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from payonce.adapters.stripe import StripeGateway
from payonce.ports import GatewayFailure
from services.psp_worker.request import registration_key, registration_request
from tests.fakes.registrations import register

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SESSION = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "status": "open",
    "url": "https://checkout.stripe.example/c/pay/cs_test_1",
    "client_secret": None,
    "expires_at": 1_900_007_200,
    "metadata": {"order_id": "ord_1"},
}


@dataclass
class Player:
    """Plays one handler and keeps what was sent to it."""

    handler: Handler
    requests: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    async def play(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, dict(request.headers), await request.text()))
        return await self.handler(request)


def says(status: int, body: object, headers: dict[str, str] | None = None) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status,
            text=body if isinstance(body, str) else json.dumps(body),
            headers={"Request-Id": "req_1"} | (headers or {}),
        )

    return handler


def error(status: int, kind: str = "invalid_request_error", code: str | None = None, **headers: str) -> Handler:
    body = {"error": {"type": kind, "code": code, "message": "as the PSP says"}}
    return says(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@asynccontextmanager
async def playing(handler: Handler, timeout_seconds: float = 5) -> AsyncIterator[tuple[StripeGateway, Player]]:
    player = Player(handler)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", player.play)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    gateway = StripeGateway("sk_test_x", f"http://127.0.0.1:{port}", timeout_seconds)
    try:
        yield gateway, player
    finally:
        await gateway.close()
        await runner.cleanup()


async def call(gateway: StripeGateway) -> object:
    command = register()
    return await gateway.register(
        registration_request(command),
        idempotency_key=registration_key(command.order_id, 1),
        api_version=command.api_version,
    )


async def failure_of(handler: Handler, timeout_seconds: float = 5) -> GatewayFailure:
    async with playing(handler, timeout_seconds) as (gateway, player):
        with pytest.raises(GatewayFailure) as caught:
            await call(gateway)
    assert len(player.requests) <= 1, "the SDK must not retry by itself"
    return caught.value


async def test_a_session_comes_back() -> None:
    async with playing(says(200, SESSION)) as (gateway, player):
        registered = await gateway.register(
            {"mode": "payment", "metadata": {"order_id": "ord_1"}},
            idempotency_key="k:1",
            api_version="2026-10-28.endive",
        )

    path, headers, body = player.requests[0]
    assert registered.session.session_id == "cs_test_1"
    assert registered.session.hosted_page_url == SESSION["url"]
    assert (registered.request_id, registered.replayed) == ("req_1", False)
    assert path == "/v1/checkout/sessions"
    assert headers["Idempotency-Key"] == "k:1"
    assert headers["Stripe-Version"] == "2026-10-28.endive"
    assert headers["Authorization"] == "Bearer sk_test_x"
    assert body == "mode=payment&metadata[order_id]=ord_1"


async def test_a_saved_answer_is_marked_as_replayed() -> None:
    async with playing(says(200, SESSION, {"Idempotent-Replayed": "true"})) as (gateway, _player):
        registered = await gateway.register({}, idempotency_key="k", api_version="2026-10-28.endive")

    assert registered.replayed


@pytest.mark.parametrize(
    ("handler", "kind", "code"),
    [
        (error(400, code="parameter_missing"), "permanent", "parameter_missing"),
        (error(402, "card_error", "card_declined"), "permanent", "card_declined"),
        (error(404, code="resource_missing"), "permanent", "resource_missing"),
        (error(400, "idempotency_error"), "mismatch", None),
        (error(401), "configuration", None),
        (error(403), "configuration", None),
        (error(409, code="idempotency_key_in_use"), "transient", "idempotency_key_in_use"),
        (error(424), "transient", None),
        (
            error(429, "api_error", "rate_limit", Stripe_Rate_Limited_Reason="endpoint-rate"),
            "rate_limited",
            "rate_limit",
        ),
        (error(429, code="lock_timeout"), "rate_limited", "lock_timeout"),
        (error(500, "api_error"), "transient", None),
        (error(500, "api_error", Idempotent_Replayed="true"), "replayed_failure", None),
        (error(503, "api_error"), "transient", None),
    ],
)
async def test_an_error_object_says_what_it_means(handler: Handler, kind: str, code: str | None) -> None:
    failure = await failure_of(handler)

    assert (kind, code, "req_1") == (failure.kind, failure.code, failure.request_id)
    assert failure.detail == "as the PSP says"


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (says(502, "<html>Bad Gateway</html>"), "transient"),
        (says(500, "<html>saved</html>", {"Idempotent-Replayed": "true"}), "replayed_failure"),
        (says(404, "<html>some proxy</html>"), "transient"),
        (says(200, "<html>a captive portal</html>"), "transient"),
        (says(200, {"object": "list"}), "transient"),
        (says(200, [1]), "transient"),
        (says(200, {**SESSION, "status": "brewing"}), "transient"),
        (says(200, {**SESSION, "id": None}), "transient"),
        (says(500, {"error": None}), "transient"),
        (says(500, {"error": [1]}), "transient"),
        (says(400, "null"), "transient"),
        (says(302, "", {"Location": "/v1/elsewhere"}), "transient"),
    ],
)
async def test_an_answer_that_is_not_the_psps_own_words_proves_nothing(handler: Handler, kind: str) -> None:
    async with playing(handler) as (gateway, _player):
        with pytest.raises(GatewayFailure) as caught:
            await call(gateway)

    assert caught.value.kind == kind


async def test_a_body_that_is_cut_off_is_transient() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "5000"})
        await response.prepare(request)
        await response.write(json.dumps(SESSION).encode()[:40])
        assert request.transport is not None
        request.transport.close()
        return response

    assert (await failure_of(handler)).kind == "transient"


async def test_a_garbled_encoding_is_transient() -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"no gzip at all", headers={"Content-Encoding": "gzip"})

    assert (await failure_of(handler)).kind == "transient"


async def test_a_reset_connection_is_transient() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    assert (await failure_of(handler)).kind == "transient"


async def test_silence_ends_after_the_timeout() -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    assert (await failure_of(handler, timeout_seconds=0.2)).kind == "transient"


async def test_a_refused_connection_is_transient() -> None:
    async with playing(says(200, SESSION)) as (gateway, _player):
        pass
    gateway = StripeGateway("sk_test_x", "http://127.0.0.1:1")
    with pytest.raises(GatewayFailure) as caught:
        await call(gateway)
    await gateway.close()

    assert caught.value.kind == "transient"
