"""CARD: the secret of the card fields is shown as a hosted page is, to the same people and for as long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from payonce.codec import decode
from payonce.domain.commands import RegisterPayment
from payonce.domain.events import PspEvent
from payonce.domain.terms import Terms, body_hash_of
from payonce.ports import Record
from tests.fakes.checkout_api import RETURN_SECRET, SECRET, World, row, terms
from tests.fakes.order_messages import commanded, expired, issued, session_paid

CARD = terms(payment_method="CARD")
PAGE_END = 1_790_080_000


def path_of(world: World, posted: Terms = CARD, page: str = "checkout") -> str:
    order = row("created", posted)
    return f"/{page}/{order.order_id}?t={world.links.token(order.order_id, body_hash_of(posted))}"


def of_card(event: PspEvent) -> PspEvent:
    """The PSP's word about the session of the CARD body."""
    named = {**event.object["metadata"], "body_hash": body_hash_of(CARD)}
    return replace(event, object={**event.object, "metadata": named})


async def test_a_card_order_is_accepted_as_it_was_posted() -> None:
    world = World()

    answer = await world.post(payment_method="CARD")

    assert answer.status_code == 202
    (record,) = world.producer.records
    command = decode(Record(record.topic, 0, 0, record.key, record.value, record.headers))
    assert isinstance(command, RegisterPayment)
    assert (command.terms, command.body_hash) == (CARD, body_hash_of(CARD))
    assert (answer.json()["payment_method"], answer.json()["client_secret"]) == ("CARD", None)


async def test_who_waits_gets_the_secret_in_place_of_a_page() -> None:
    world = World()
    world.clock.later(2.5, lambda: world.orders.put(row("registered", CARD)))

    answer = await world.post(payment_method="CARD", prefer="wait=10")

    assert answer.status_code == 201
    assert (answer.json()["client_secret"], answer.json()["hosted_page_url"]) == (SECRET, None)


async def test_the_secret_of_another_body_is_never_shown() -> None:
    world = World()
    world.clock.later(1, lambda: world.orders.put(row("registered", terms(payment_method="CARD", amount=1))))

    answer = await world.post(payment_method="CARD", prefer="wait=10")

    assert answer.status_code == 409
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "order",
    [
        replace(row("registered", CARD), psp_token=None),
        replace(row("registered", CARD), page_expires_at=PAGE_END - 10**6),
        replace(row("registered", CARD), status="paid"),
        replace(row("registered", CARD), status="expired"),
        replace(row("registered", CARD), status="created"),
    ],
    ids=["no-token", "over", "paid", "expired", "created"],
)
async def test_the_secret_is_shown_only_while_the_session_can_be_paid(order: Any) -> None:
    """Whatever the row still holds: it is shown exactly as long as a page would be."""
    world = World()
    world.orders.put(order)

    shown = await world.get(f"/v1/payment-orders/{order.order_id}")
    again = await world.post(payment_method="CARD", prefer="wait=1")

    assert shown.json()["client_secret"] is None
    assert again.json()["client_secret"] is None
    assert SECRET not in shown.text + again.text


@pytest.mark.parametrize("end", [expired(), session_paid()], ids=["expired", "paid"])
async def test_when_the_session_closes_the_secret_is_gone_from_the_row(end: PspEvent) -> None:
    world = World()
    known = world.archive.fold(commanded(posted=CARD), issued(posted=CARD))

    closed = world.archive.fold(of_card(end))

    assert (known.client_secret, closed.client_secret) == (SECRET, None)
    assert (await world.get(f"/v1/payment-orders/{closed.order_id}")).json()["client_secret"] is None


async def test_a_new_attempt_has_a_secret_of_its_own() -> None:
    world = World()
    known = world.archive.fold(commanded(posted=CARD), issued(posted=CARD), of_card(expired()))
    second = replace(issued(2, posted=CARD), client_secret="cs_2_secret")
    path = f"/v1/payment-orders/{known.order_id}/attempts"

    async with world.caller() as caller:
        accepted = await caller.post(path, json={"attempt": 2})
        world.archive.fold(commanded(2, posted=CARD), second)
        answer = await caller.post(path, json={"attempt": 2}, headers={"Prefer": "wait=1"})

    assert (accepted.status_code, accepted.json()["client_secret"]) == (202, None)
    assert (answer.status_code, answer.json()["client_secret"]) == (201, "cs_2_secret")


# --------------------------------------------------------------------------------------- the links


def returned(location: str) -> dict[str, str]:
    assert location.startswith("https://shop.example/thanks?basket=7&")
    return dict(parse_qsl(urlsplit(location).query))


async def test_the_checkout_link_leads_to_the_shop_where_the_card_fields_are() -> None:
    """The order's own status, not `pending`: nobody has paid, and nobody waits for word of a payment."""
    world = World()
    world.orders.put(row("registered", CARD))

    answer = await world.get(path_of(world), key=None)

    assert answer.status_code == 303
    assert returned(answer.headers["location"])["status"] == "registered"
    assert len(returned(answer.headers["location"])["signature"]) == 64
    assert SECRET not in answer.text + str(answer.headers) + RETURN_SECRET


async def test_the_checkout_link_holds_until_the_secret_is_stored() -> None:
    world = World()
    world.orders.put(row("created", CARD))
    world.clock.later(1.5, lambda: world.orders.put(row("registered", CARD)))

    answer = await world.get(path_of(world), key=None)

    assert answer.status_code == 303
    assert returned(answer.headers["location"])["status"] == "registered"


@pytest.mark.parametrize(
    ("status", "told"), [("registered", "pending"), ("paid", "paid"), ("failed", "failed"), ("active", "active")]
)
async def test_the_psp_sends_the_customer_back_as_from_its_own_page(status: str, told: str) -> None:
    world = World()
    world.orders.put(row(status, CARD))

    answer = await world.get(path_of(world, page="return"), key=None)

    assert returned(answer.headers["location"])["status"] == told


async def test_the_link_of_another_body_opens_nothing() -> None:
    world = World()
    world.orders.put(row("registered", CARD))

    answer = await world.get(path_of(world, terms()), key=None)

    assert answer.status_code == 404


# ---------------------------------------------------------------------------------------- card data


@pytest.mark.parametrize("name", ["card_number", "number", "cvc", "card"])
async def test_a_card_that_is_sent_to_us_is_refused_and_nowhere_repeated(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no door for card data: the field is named, its value is in no answer, log line or record."""
    world = World()
    number = "4242424242424242"
    changes: dict[str, Any] = {name: {"number": number} if name == "card" else number}

    answer = await world.post(payment_method="CARD", **changes)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [name]
    said = capsys.readouterr()
    assert number not in answer.text + said.out + said.err
    assert world.producer.records == []
