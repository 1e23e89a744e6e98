"""Webhooks: Stripe's bytes into the log, or nothing at all."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import httpx
import pytest

from payonce.codec import decode
from payonce.domain.events import PspEvent
from payonce.domain.psp_webhooks import record_key
from payonce.ports import Record
from services.checkout_api.webhooks import LIMIT_BYTES
from tests.fakes.checkout_api import World, row, signed

ORDER_ID = row("created").order_id


def event(**subject: object) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_790_000_000,
        "livemode": False,
        "type": "checkout.session.completed",
        "data": {"object": {"id": "cs_1", "object": "checkout.session", **subject}},
    }


def body_of(**subject: object) -> bytes:
    """Return an event as Stripe writes it: pretty-printed, which no JSON library of ours would repeat."""
    return json.dumps(event(**subject), indent=2).encode()


BODY = body_of(metadata={"order_id": ORDER_ID})


def check_refused(world: World, answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert world.producer.records == []


@pytest.mark.parametrize("secret", ["whsec_new", "whsec_old"])
async def test_a_signed_event_is_in_the_log_byte_for_byte_before_200(secret: str) -> None:
    """Both secrets hold while one is being rotated."""
    world = World()

    answer = await world.hook(BODY, signed(BODY, secret))

    assert answer.status_code == 200
    (record,) = world.producer.records
    assert record.value == BODY
    assert (record.topic, record.key) == ("payments.webhooks", ORDER_ID.encode())
    headers = dict(record.headers)
    assert headers["ce_id"] == b"evt_1"
    assert headers["stripe-event-type"] == b"checkout.session.completed"
    assert headers["stripe-api-version"] == b"2026-10-28.endive"
    assert float(headers["received-at"]) == world.clock.now()
    decoded = decode(Record(record.topic, 0, 0, record.key, record.value, record.headers))
    assert isinstance(decoded, PspEvent)
    assert decoded.object["id"] == "cs_1"


async def test_one_changed_byte_is_a_forgery() -> None:
    world = World()

    for position in range(0, len(BODY), 41):
        changed = bytearray(BODY)
        changed[position] ^= 1
        check_refused(world, await world.hook(bytes(changed), signed(BODY)), 400)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        "t=,v1=",
        "t=abc,v1=00",
        f"t={int(time.time())}",
        f"t={int(time.time())},v0=" + "0" * 64,
        f"t={int(time.time())},v1=" + "0" * 64,
        "v1=é",
    ],
    ids=itertools.count(1),  # the time is another one every second, and a test's name must not be
)
async def test_a_missing_or_malformed_signature_is_400(header: str | None) -> None:
    world = World()

    check_refused(world, await world.hook(BODY, header), 400)


async def test_a_signature_of_another_secret_is_400() -> None:
    world = World()

    check_refused(world, await world.hook(BODY, signed(BODY, "whsec_stranger")), 400)


@pytest.mark.parametrize("age", [301, 3600, -400])
async def test_a_signature_of_another_time_is_400(age: int) -> None:
    world = World()

    check_refused(world, await world.hook(BODY, signed(BODY, at=int(time.time()) - age)), 400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"5",
        b"{}",
        json.dumps({**event(), "object": "v2.core.event"}).encode(),
        json.dumps({**event(), "data": None}).encode(),
        json.dumps({**event(), "data": {"object": []}}).encode(),
        json.dumps({**event(), "id": 5}).encode(),
        json.dumps({**event(), "id": ""}).encode(),
    ],
)
async def test_what_is_signed_but_no_event_is_400(body: bytes) -> None:
    world = World()

    check_refused(world, await world.hook(body, signed(body)), 400)


async def test_a_body_above_the_limit_is_413_even_if_signed() -> None:
    world = World()
    body = body_of(filler="x" * 1_000_000)

    check_refused(world, await world.hook(body, signed(body)), 413)


async def test_a_large_event_below_the_limit_is_taken() -> None:
    world = World()
    body = body_of(filler="x" * 500_000)

    assert (await world.hook(body, signed(body))).status_code == 200


@pytest.mark.parametrize("state", ["refusing", "silent"])
async def test_kafka_away_is_503_so_that_stripe_comes_again(state: str) -> None:
    world = World()
    world.producer.state = "refusing" if state == "refusing" else "silent"

    refused = await world.hook(BODY, signed(BODY))
    world.producer.state = "up"
    accepted = await world.hook(BODY, signed(BODY))

    assert (refused.status_code, accepted.status_code) == (503, 200)
    assert [record.value for record in world.producer.records] == [BODY]


async def test_postgresql_away_does_not_matter() -> None:
    world = World()
    world.orders.healthy = world.orders.answers = False

    assert (await world.hook(BODY, signed(BODY))).status_code == 200


async def test_without_a_secret_the_endpoint_does_not_exist() -> None:
    world = World(webhook_secrets=())

    check_refused(world, await world.hook(BODY, signed(BODY)), 404)


async def test_only_post_and_only_this_path() -> None:
    world = World()

    answer = await world.get("/webhooks/stripe", key=None)

    check_refused(world, answer, 405)
    assert answer.headers["allow"] == "POST"
    check_refused(world, await world.hook(BODY, signed(BODY), "/webhooks/paypal"), 404)


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ({"id": "cs_1", "metadata": {"order_id": ORDER_ID}}, ORDER_ID),
        ({"id": "in_1", "parent": {"subscription_details": {"metadata": {"order_id": ORDER_ID}}}}, ORDER_ID),
        ({"id": "cs_1", "metadata": {"order_id": "of another system"}}, "cs_1"),
        ({"id": "cs_1", "client_reference_id": ORDER_ID, "metadata": {}}, "cs_1"),
        ({"id": "ch_1", "payment_intent": "pi_1", "metadata": None, "parent": "x"}, "ch_1"),
        ({"payment_intent": "pi_1", "metadata": {"order_id": 7}}, "pi_1"),
        ({"object": "balance"}, "evt_1"),
    ],
)
def test_the_key_is_the_order_that_the_metadata_names_else_the_object(subject: dict[str, Any], key: str) -> None:
    """`client_reference_id` proves nothing: anyone can set it in a payment link."""
    assert record_key({"id": "evt_1", "data": {"object": subject}}) == key


async def test_the_largest_event_that_the_door_takes_fits_the_log() -> None:
    world = World()
    body = body_of(padding="x" * (LIMIT_BYTES - len(body_of(padding=""))))

    answer = await world.hook(body, signed(body))

    assert (len(body), answer.status_code) == (LIMIT_BYTES, 200)
    assert world.producer.records[0].value == body


async def test_an_event_whose_headers_would_be_too_large_for_the_log_is_refused() -> None:
    """Its type stands in the headers twice; 503 would have it sent again for days."""
    world = World()
    body = json.dumps({**event(), "type": "x" * 400_000}).encode()

    check_refused(world, await world.hook(body, signed(body)), 413)
