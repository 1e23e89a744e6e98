"""A subscription is ended once and for good: by the client whose it is, when it says which one and when."""

from __future__ import annotations

import httpx
import pytest

from payonce.codec import decode
from payonce.domain.commands import CancelSubscription
from payonce.domain.events import PspEvent
from payonce.domain.terms import body_hash_of
from payonce.ports import OutgoingRecord, Record
from tests.fakes.checkout_api import API_VERSION, OTHER_KEY, READER_KEY, SHOP_KEY, World
from tests.fakes.order_messages import commanded, issued, session_paid
from tests.fakes.subscription_messages import CLUB, ORDER_ID, subscribed, subscription
from tests.fakes.virtual_clock import START

ORDER = f"/v1/payment-orders/{ORDER_ID}"


def message_in(record: OutgoingRecord) -> object:
    return decode(received(record))


async def end(world: World, body: object, *, key: str = SHOP_KEY, prefer: str | None = None) -> httpx.Response:
    headers = {} if prefer is None else {"Prefer": prefer}
    async with world.caller(key) as caller:
        return await caller.post(f"{ORDER}/subscription/cancel", json=body, headers=headers)


def kind(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, str(answer.json()["type"]).removeprefix("urn:payonce:problem:")


@pytest.mark.parametrize("at", ["now", "period_end"])
async def test_the_end_is_in_the_log_before_202_says_so(at: str) -> None:
    world = subscribed()

    answer = await end(world, {"at": at})

    assert (answer.status_code, answer.json()["id"]) == (202, ORDER_ID), answer.text
    assert answer.headers["retry-after"] == "1"
    (record,) = world.producer.records
    expected = CancelSubscription(ORDER_ID, "sub_1", "now" if at == "now" else "period_end", int(START), API_VERSION)
    assert message_in(record) == expected
    assert record.key == ORDER_ID.encode()


async def test_the_same_end_again_is_the_same_command() -> None:
    world = subscribed()

    for _ in range(2):
        world.clock.advance(60)
        assert (await end(world, {"at": "now"})).status_code == 202

    assert len({record.header("ce_id") for record in map(received, world.producer.records)}) == 1


def received(record: OutgoingRecord) -> Record:
    return Record(record.topic, 0, 0, record.key, record.value, record.headers)


@pytest.mark.parametrize(
    ("at", "told"),
    [("now", subscription(status="canceled")), ("period_end", subscription(ends=True))],
    ids=["now", "period_end"],
)
async def test_who_waits_is_told_when_it_has_ended_or_will(at: str, told: PspEvent) -> None:
    world = subscribed()

    def tell() -> None:
        world.archive.fold(told)

    world.clock.later(2.5, tell)

    answer = await end(world, {"at": at}, prefer="wait=10")

    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=10")
    (shown,) = answer.json()["subscriptions"]
    assert shown["cancel_at_period_end"] is (at == "period_end")
    assert answer.json()["status"] == ("ended" if at == "now" else "active")
    assert len(world.producer.records) == 1
    assert world.clock.now() - START < 4.5


async def test_who_waits_in_vain_gets_202() -> None:
    world = subscribed()

    answer = await end(world, {"at": "now"}, prefer="wait=3")

    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    assert world.clock.now() - START == 3


async def test_that_it_ends_with_its_period_is_not_that_it_has_ended_now() -> None:
    world = subscribed(subscription(ends=True))

    assert (await end(world, {"at": "now"}, prefer="wait=3")).status_code == 202


async def test_what_has_ended_is_200_and_asks_for_nothing() -> None:
    world = subscribed(subscription(status="canceled"))

    answer = await end(world, {"at": "now"})

    assert (answer.status_code, answer.json()["id"]) == (200, ORDER_ID)
    assert world.producer.records == []


@pytest.mark.parametrize("posted", [{}, {"at": "tomorrow"}, {"at": None}, {"at": "now", "refund": True}, None])
async def test_when_it_ends_must_be_said(posted: object) -> None:
    world = subscribed()

    assert kind(await end(world, posted)) == (422, "invalid_request")
    assert world.producer.records == []


async def test_a_sale_has_no_subscription_to_end() -> None:
    world = World()
    world.archive.fold(commanded(), issued(), session_paid())

    assert kind(await end(world, {"at": "now"})) == (409, "not_recurring")


async def test_before_anybody_has_signed_up_there_is_nothing_to_end() -> None:
    world = World()
    world.archive.fold(commanded(posted=CLUB), issued(posted=CLUB))

    answer = await end(world, {"at": "now"})

    assert kind(answer) == (409, "no_subscription")
    assert "cancel its attempt" in answer.json()["detail"]


async def test_of_two_that_live_one_must_be_named() -> None:
    """A flagged order: the customer signed up twice, and one of them is to end."""
    world = subscribed(subscription("sub_2"))

    unnamed = await end(world, {"at": "now"})
    strange = await end(world, {"at": "now", "subscription": "sub_3"})
    named = await end(world, {"at": "now", "subscription": "sub_2"})

    assert kind(unnamed) == (422, "subscription_needed")
    assert kind(strange) == (422, "unknown_subscription")
    assert "sub_1, sub_2" in strange.json()["detail"]
    assert named.status_code == 202
    command = message_in(world.producer.records[0])
    assert isinstance(command, CancelSubscription)
    assert command.subscription == "sub_2"


async def test_of_two_the_one_that_lives_is_meant() -> None:
    world = subscribed(subscription("sub_0", "canceled"))

    assert (await end(world, {"at": "now"})).status_code == 202
    command = message_in(world.producer.records[0])
    assert isinstance(command, CancelSubscription)
    assert command.subscription == "sub_1"
    assert (await end(world, {"at": "now", "subscription": "sub_0"})).status_code == 200


async def test_a_subscription_whose_first_debit_failed_later_has_no_second_attempt() -> None:
    """The PSP may still try to collect it: a second one beside it could be paid, too."""
    world = World()
    named = {"order_id": ORDER_ID, "attempt": "1", "body_hash": body_hash_of(CLUB)}
    session = {
        "id": "cs_1",
        "object": "checkout.session",
        "payment_status": "unpaid",
        "metadata": named,
        "subscription": "sub_1",
        "invoice": "in_1",
        "amount_total": CLUB.amount,
        "currency": "eur",
        "status": "complete",
    }
    kinds = ("completed", "async_payment_failed")
    told = [
        PspEvent(f"evt_{kind}", f"checkout.session.{kind}", 1_790_000_100, False, API_VERSION, session)
        for kind in kinds
    ]
    world.archive.fold(commanded(posted=CLUB), issued(posted=CLUB), *told)
    assert world.orders.rows[ORDER_ID].status == "failed"

    async with world.caller() as caller:
        answer = await caller.post(f"{ORDER}/attempts", json={"attempt": 2})
    ended = await end(world, {"at": "now"})

    assert kind(answer) == (409, "order_used")
    assert "new reference" in answer.json()["detail"]
    assert ended.status_code == 202
    assert isinstance(message_in(world.producer.records[0]), CancelSubscription)


async def test_another_clients_subscription_does_not_exist() -> None:
    assert kind(await end(subscribed(), {"at": "now"}, key=OTHER_KEY)) == (404, "unknown_order")


async def test_who_may_only_read_ends_nothing() -> None:
    world = subscribed()

    assert kind(await end(world, {"at": "now"}, key=READER_KEY))[0] == 403
    assert world.producer.records == []


@pytest.mark.parametrize("away", ["log", "database"])
async def test_with_a_part_away_it_is_503_and_never_a_false_202(away: str) -> None:
    world = subscribed()
    if away == "log":
        world.producer.state = "refusing"
    else:
        world.orders.healthy = False

    assert kind(await end(world, {"at": "now"})) == (503, "temporarily_unavailable")
