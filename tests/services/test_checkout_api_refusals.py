"""Every malformed request gets a problem document that says what to change, and writes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Message

from payonce.problem_documents import Problem
from services.checkout_api.bodies import read_body
from tests.fakes.checkout_api import ORDER, READER_KEY, SHOP_KEY, SLOW_KEY, World, row

PATH = "/v1/payment-orders"


def monthly(**changes: object) -> dict[str, object]:
    """The fields of a subscription."""
    return {"payment_type": "RECC", "recurring": {"interval": "month", **changes}}


async def send(world: World, content: bytes, kind: str = "application/json") -> httpx.Response:
    async with world.caller() as caller:
        return await caller.post(PATH, content=content, headers={"Content-Type": kind})


def check_problem(answer: httpx.Response, status: int, field: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["type"].startswith("urn:payonce:problem:")
    assert document["title"]
    assert document["detail"]
    if field is not None:
        assert field in [error["field"] for error in document["errors"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reference", None),
        ("reference", ""),
        ("reference", "x" * 65),
        ("reference", "line\nbreak"),
        ("reference", "nul\x00"),
        ("reference", 5),
        ("amount", None),
        ("amount", -5),
        ("amount", 0),
        ("amount", 10.5),
        ("amount", "1050"),
        ("amount", True),
        ("amount", 10**13),
        ("amount", 10**400),
        ("currency", "XYZ"),
        ("currency", "xxx"),
        ("currency", "EURO"),
        ("currency", "eü"),
        ("payment_type", "RENT"),
        ("payment_method", "SEPA"),
        ("payment_method", None),
        ("psp", "paypal"),
        ("redirect_url", None),
        ("redirect_url", "shop.example"),
        ("redirect_url", "javascript:alert(1)"),
        ("redirect_url", "http://shop.example/thanks"),
        ("redirect_url", "https://evil.example/thanks"),
        ("redirect_url", "https://shop.example.evil.example/"),
        ("redirect_url", "https://shop.example@evil.example/"),
        ("redirect_url", "https://evil.example\\.shop.example/"),
        ("redirect_url", "https://shop.example:8443/"),
        ("redirect_url", "https://shop.example/a b"),
        ("redirect_url", "https://shop.example:port/"),
        ("redirect_url", "https://[shop.example/"),
        ("redirect_url", "https://shop.example/?status=paid"),
        ("redirect_url", "https://shop.example/" + "x" * 2048),
        ("description", ""),
        ("description", "x" * 501),
        ("description", "nul\x00"),
        ("customer_email", "nobody"),
        ("surprise", 1),
    ],
)
async def test_a_wrong_field_is_named(field: str, value: object) -> None:
    world = World()
    body = {name: item for name, item in {**ORDER, field: value}.items() if item is not None}

    answer = await send(world, json.dumps(body).encode())

    check_problem(answer, 422, field)
    assert world.producer.records == []


async def test_a_name_or_value_that_is_no_text_is_422() -> None:
    world = World()

    check_problem(await send(world, b'{"\\ud800": 1}'), 422)
    check_problem(await send(world, json.dumps({**ORDER, "description": "\ud800"}).encode()), 422, "description")


async def test_an_amount_that_its_currency_does_not_have_is_named() -> None:
    world = World()

    check_problem(await world.post(amount=1051, currency="KWD"), 422, "amount")


@pytest.mark.parametrize(
    ("currency", "amount", "field", "says"),
    [
        ("XYZ", 1050, "currency", "not an ISO 4217 code"),
        ("CHW", 1050, "currency", "does not charge in it"),
        ("KWD", 1051, "amount", "1050 or 1060"),
        ("ISK", 1050, "amount", "1000 or 1100"),
        ("UGX", 99, "amount", "send 100"),
        ("EUR", 0, "amount", "greater than 0"),
    ],
)
@pytest.mark.parametrize("kind", [{}, {"payment_type": "RECC", "recurring": {"interval": "month"}}])
async def test_money_that_cannot_be_charged_says_what_can(
    currency: str, amount: int, field: str, says: str, kind: dict[str, Any]
) -> None:
    world = World()

    answer = await world.post(currency=currency, amount=amount, **kind)

    check_problem(answer, 422, field)
    assert says in answer.json()["detail"]
    assert world.producer.records == []


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"payment_type": "RECC"}, "recurring", "is needed for payment_type RECC"),
        ({"recurring": {"interval": "month"}}, "recurring", "belongs to payment_type RECC"),
        ({"payment_type": "RECC", "recurring": {}}, "recurring.interval", "required"),
        ({"payment_type": "RECC", "recurring": {"interval": "fortnight"}}, "recurring.interval", "'month'"),
        (monthly(interval_count=0), "recurring.interval_count", "greater than or equal to 1"),
        (monthly(interval_count=37), "recurring.interval_count", "at most 36 for interval month"),
        (monthly(interval="year", interval_count=4), "recurring.interval_count", "at most 3 for interval year"),
        (monthly(interval="week", interval_count=157), "recurring.interval_count", "at most 156"),
        (monthly(interval="day", interval_count=1096), "recurring.interval_count", "less than or equal to 1095"),
        (monthly(interval_count="2"), "recurring.interval_count", "valid integer"),
        (monthly(trial_days=0), "recurring.trial_days", "greater than or equal to 1"),
        (monthly(trial_days=731), "recurring.trial_days", "less than or equal to 730"),
        (monthly(anchor=1), "recurring.anchor", "not permitted"),
    ],
)
async def test_a_subscription_that_cannot_be_billed_so_names_what_is_wrong(
    body: dict[str, Any], field: str, says: str
) -> None:
    world = World()

    answer = await world.post(**body)

    check_problem(answer, 422, field)
    assert says in answer.json()["detail"]
    assert world.producer.records == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/back", "HTTPS://SHOP.example:443/Back?a=1&b=&a=2#top"])
async def test_redirects_to_registered_origins_are_taken(url: str) -> None:
    world = World()

    assert (await world.post(redirect_url=url)).status_code == 202


@pytest.mark.parametrize(
    "content",
    [b"{", b"", b'{"reference": }', b"\xff\xfe", b"[" * 60_000, b"1" * 6000, b'{"amount": ' + b"9" * 5000 + b"}"],
)
async def test_broken_json_is_400_or_422_and_never_500(content: bytes) -> None:
    world = World()

    answer = await send(world, content)

    check_problem(answer, 422 if content == b"" else 400)


@pytest.mark.parametrize("content", [b"null", b"[]", b"5", b'"text"', b"{}", b"NaN"])
async def test_json_of_the_wrong_shape_is_422(content: bytes) -> None:
    check_problem(await send(World(), content), 422)


async def test_a_body_of_a_megabyte_is_413() -> None:
    world = World()

    check_problem(await world.post(description="x" * 1_000_000), 413)


async def test_an_endless_body_without_a_length_is_413_and_not_read_to_its_end() -> None:
    world = World()
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1000:
            sent += 1
            yield b"x" * 16_384

    async with world.caller() as caller:
        answer = await caller.post(PATH, content=endless(), headers={"Content-Type": "application/json"})

    check_problem(answer, 413)
    assert sent < 10


async def test_a_body_that_does_not_come_is_408() -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Problem) as caught:
        await read_body(never, 10, seconds=0)

    assert caught.value.status == 408


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_another_content_type_is_415(kind: str) -> None:
    check_problem(await send(World(), json.dumps(ORDER).encode(), kind), 415)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer pk_wrong", "Basic cGs6", "Bearer p\xffk", SHOP_KEY]
)
async def test_without_a_valid_key_it_is_401_with_a_challenge(authorization: str | None) -> None:
    world = World()
    headers = {} if authorization is None else {b"Authorization": authorization.encode("latin-1")}

    async with world.caller(None) as caller:
        answer = await caller.post(PATH, json=ORDER, headers=headers)

    check_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert world.producer.records == []


async def test_a_key_without_the_scope_is_403_and_reads_what_the_clients_other_keys_placed() -> None:
    world = World()
    world.orders.put(row("paid"))

    check_problem(await world.post(key=READER_KEY), 403)
    seen = await world.get(f"{PATH}?reference=A-1", key=READER_KEY)
    assert (seen.status_code, len(seen.json()["data"])) == (200, 1)
    assert seen.json() == (await world.get(f"{PATH}?reference=A-1")).json()


async def test_more_requests_than_agreed_are_429_until_time_has_passed() -> None:
    world = World()

    answers = [await world.post(key=SLOW_KEY) for _ in range(3)]
    other = await world.post()
    world.clock.advance(0.5)
    later = await world.post(key=SLOW_KEY)

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    check_problem(answers[2], 429)
    assert answers[2].headers["retry-after"] == "1"
    assert (other.status_code, later.status_code) == (202, 202)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("DELETE", PATH, 405),
        ("POST", "/checkout/ord_x", 405),
        ("GET", f"{PATH}/ord_unknown", 404),
        ("GET", f"{PATH}/%00", 404),
        ("GET", f"{PATH}?limit=0", 422),
        ("GET", f"{PATH}?limit=101", 422),
        ("GET", f"{PATH}?status=gone", 422),
        ("GET", f"{PATH}?created_from=yesterday", 422),
        ("GET", f"{PATH}?created_until=99999999999999", 422),
        ("GET", f"{PATH}?starting_after=%00", 422),
        ("GET", f"{PATH}?starting_after=ord_unknown", 422),
        ("GET", f"{PATH}?reference=", 422),
    ],
)
async def test_wrong_paths_methods_and_queries_are_problems_too(method: str, path: str, status: int) -> None:
    async with World().caller() as caller:
        check_problem(await caller.request(method, path), status)


async def test_a_reference_that_postgresql_cannot_hold_finds_nothing() -> None:
    answer = await World().get(f"{PATH}?reference=%00%ff")

    assert answer.json()["data"] == []
