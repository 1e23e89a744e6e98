from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payonce.codec import decode
from payonce.domain.commands import RegisterPayment
from payonce.ports import OutgoingRecord, Record
from tests.fakes.checkout_api import API_VERSION, LIFETIME, ORDER, OTHER_KEY, PAGE, World, row, terms
from tests.fakes.virtual_clock import START

PATH = "/v1/payment-orders"


def command_in(record: OutgoingRecord) -> RegisterPayment:
    message = decode(Record(record.topic, 0, 0, record.key, record.value, record.headers))
    assert isinstance(message, RegisterPayment)
    return message


async def test_an_order_is_in_the_log_before_202_says_so() -> None:
    world = World()

    answer = await world.post()

    assert answer.status_code == 202
    document = answer.json()
    command = command_in(world.producer.records[0])
    assert document["status"] == "created"
    assert document["id"] == command.order_id
    assert document["hosted_page_url"] is None
    assert document["checkout_url"] == world.links.checkout(command.order_id, command.body_hash)
    assert answer.headers["location"] == f"https://pay.example{PATH}/{command.order_id}"
    assert answer.headers["retry-after"] == "1"
    assert command.terms == terms()


async def test_the_command_freezes_everything_the_psp_request_needs() -> None:
    world = World()

    await world.post(description="Two books", customer_email="a@b.example")

    command = command_in(world.producer.records[0])
    token = world.links.token(command.order_id, command.body_hash)
    assert (command.attempt, command.api_version) == (1, API_VERSION)
    assert (command.issued_at, command.expires_at) == (int(START), int(START) + LIFETIME)
    assert command.success_url == f"https://pay.example/return/{command.order_id}?t={token}"
    assert command.cancel_url == command.success_url + "&via=cancel"
    assert command.terms.customer_email == "a@b.example"


async def test_the_same_request_is_the_same_order_and_the_same_command() -> None:
    world = World()

    first, second = await world.post(), await world.post(currency="eur")

    assert first.status_code == second.status_code == 202
    assert first.json()["id"] == second.json()["id"]
    assert len({command_in(record).command_id for record in world.producer.records}) == 1
    assert len({record.key for record in world.producer.records}) == 1


async def test_an_order_known_beyond_created_is_answered_without_a_new_command() -> None:
    world = World()
    world.orders.put(row("paid", amount_paid=1050))

    answer = await world.post()

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["amount_paid"]) == ("paid", 1050)
    assert world.producer.records == []


async def test_a_failed_registration_is_told_with_its_reason() -> None:
    world = World()
    world.orders.put(row("registration_failed", failure_reason="psp_refused", failure_detail="too small"))

    answer = await world.post(prefer="wait=5")

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["failure_reason"]) == ("registration_failed", "psp_refused")


@pytest.mark.parametrize(
    ("field", "value"),
    [("amount", 1051), ("currency", "usd"), ("redirect_url", "https://shop.example/x"), ("description", "other")],
)
async def test_the_same_reference_with_another_body_is_refused_and_says_what_differs(field: str, value: object) -> None:
    changes: dict[str, Any] = {field: value}
    world = World()
    world.orders.put(row("registered"))

    answer = await world.post(**changes)

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert world.producer.records == []
    assert PAGE not in answer.text


async def test_the_same_reference_of_another_client_is_another_order() -> None:
    world = World()

    ours, theirs = await world.post(), await world.post(key=OTHER_KEY, amount=5)

    assert ours.status_code == theirs.status_code == 202
    assert ours.json()["id"] != theirs.json()["id"]


async def test_a_conflict_with_an_order_of_which_only_the_token_is_known_names_the_body() -> None:
    world = World()
    stranger = row("registered", terms(amount=1))
    world.orders.put(replace(stranger, client_id=None, reference=None, amount=None, currency=None, redirect_url=None))

    answer = await world.post()

    assert answer.status_code == 409
    assert [error["field"] for error in answer.json()["errors"]] == ["body"]


async def test_without_wait_a_registered_order_is_a_200_with_its_page() -> None:
    world = World()
    world.orders.put(row("registered"))

    assert (await world.post()).status_code == 200
    assert (await world.post()).json()["hosted_page_url"] == PAGE
    assert (await world.post(prefer="wait=5")).status_code == 201


async def test_a_page_that_has_expired_is_not_shown() -> None:
    world = World()
    world.orders.put(row("registered", page_expires_at=int(START)))

    assert (await world.post(prefer="wait=5")).json()["hosted_page_url"] is None


@pytest.mark.parametrize("how", ["known to be away", "does not answer"])
async def test_postgresql_away_still_is_202(how: str) -> None:
    world = World()
    world.orders.healthy = how != "known to be away"
    world.orders.answers = False

    answer, waited = await world.post(), await world.post(prefer="wait=4")

    assert answer.status_code == waited.status_code == 202
    assert len(world.producer.records) == 2
    assert how != "known to be away" or world.orders.reads == 0


@pytest.mark.parametrize("state", ["refusing", "silent"])
async def test_kafka_away_is_503_and_the_same_request_succeeds_afterwards(state: str) -> None:
    world = World()
    world.producer.state = "refusing" if state == "refusing" else "silent"

    refused = await world.post(prefer="wait=5")
    world.producer.state = "up"
    accepted = await world.post()

    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["content-type"] == "application/problem+json"
    assert accepted.status_code == 202
    assert len(world.producer.records) == 1


async def test_a_record_whose_report_came_too_late_is_still_written() -> None:
    """Giving up on the report withdraws nothing: 503 means not known, never not done."""
    world = World()
    world.producer.state = "silent"

    refused = await world.post()
    world.producer.report.set()
    await world.clock.sleep(0)

    assert refused.status_code == 503
    assert len(world.producer.records) == 1


async def test_an_order_is_read_by_id_and_by_reference() -> None:
    world = World()
    order = row("paid", amount_paid=1050, flags=("duplicate_payment",))
    world.orders.put(order)

    single = await world.get(f"{PATH}/{order.order_id}")
    listed = await world.get(f"{PATH}?reference=A-1")

    assert single.status_code == listed.status_code == 200
    assert single.json()["flags"] == ["duplicate_payment"]
    assert listed.json() == {"object": "list", "data": [single.json()], "has_more": False}


async def test_an_order_not_folded_yet_is_a_404_that_says_when_to_come_back() -> None:
    world = World()
    order_id = (await world.post()).json()["id"]

    answer = await world.get(f"{PATH}/{order_id}")

    assert answer.status_code == 404
    assert answer.headers["retry-after"] == "1"
    assert (await world.get(f"{PATH}?reference=A-1")).json()["data"] == []


async def test_another_clients_order_does_not_exist() -> None:
    world = World()
    order = row("registered")
    world.orders.put(order)

    answer = await world.get(f"{PATH}/{order.order_id}", key=OTHER_KEY)

    assert answer.status_code == 404
    assert "A-1" not in answer.text
    assert (await world.get(f"{PATH}?reference=A-1", key=OTHER_KEY)).json()["data"] == []


async def test_reading_while_postgresql_is_away_is_503() -> None:
    world = World()
    world.orders.healthy = False

    answer = await world.get(f"{PATH}/{row('paid').order_id}")

    assert answer.status_code == 503
    assert (await world.get(f"{PATH}?reference=A-1")).status_code == 503


async def test_the_callers_trace_goes_on_in_the_log() -> None:
    world = World()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async with world.caller() as caller:
        await caller.post(PATH, json=ORDER, headers={"traceparent": trace})
        await caller.post(PATH, json=ORDER, headers={"traceparent": "nonsense"})

    assert dict(world.producer.records[0].headers)["traceparent"] == trace.encode()
    assert "traceparent" not in dict(world.producer.records[1].headers)
