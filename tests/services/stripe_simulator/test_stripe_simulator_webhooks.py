"""Webhooks and events: signatures, retries, faults on the way, and List Events as the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import stripe

from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.control_client import ControlError
from sandbox.stripe_simulator.server import SimulatorServer
from sandbox.stripe_simulator.webhooks import backoff_seconds
from tests.services.stripe_simulator.conftest import (
    CONFIG,
    SECRET,
    Received,
    Receiver,
    client_of,
    eventually,
    order,
    running_receiver,
)

CARD_EVENTS = ["charge.succeeded", "checkout.session.completed", "payment_intent.succeeded"]


def paid_session(simulator: SimulatorServer, client: stripe.StripeClient, **how: Any) -> str:
    session_id = client.v1.checkout.sessions.create(order()).id
    simulator.control.pay(session_id, **how)
    return session_id


def verified(item: Received, secret: str = SECRET) -> bool:
    try:
        return bool(stripe.WebhookSignature.verify_header(item.body.decode(), item.signature, secret, tolerance=300))
    except stripe.SignatureVerificationError:
        return False


def test_a_payment_is_told_with_valid_signatures(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    session_id = paid_session(simulator, client)

    received = receiver.wait(lambda items: len(items) == 3)
    assert sorted(item.event["type"] for item in received) == CARD_EVENTS
    assert all(verified(item) for item in received)
    (completed,) = receiver.wait_for_type("checkout.session.completed")
    event = completed.event
    assert event["data"]["object"]["id"] == session_id
    assert event["data"]["object"]["payment_status"] == "paid"
    assert event["request"] == {"id": None, "idempotency_key": None}
    assert (event["api_version"], event["livemode"], event["pending_webhooks"]) == ("2026-10-28.endive", False, 1)
    eventually(lambda: client.v1.events.retrieve(event["id"]).pending_webhooks == 0)


def test_a_body_that_was_changed_fails_verification(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    paid_session(simulator, client)
    item = receiver.wait(bool)[0]

    assert not verified(Received(item.body.replace(b"eur", b"usd"), item.signature, item.event))
    assert not verified(item, "whsec_other")


def test_during_a_rotation_each_secret_verifies(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    simulator.control.set_webhooks(secrets=[SECRET, "whsec_next"])
    paid_session(simulator, client)

    item = receiver.wait(bool)[0]
    assert item.signature.count("v1=") == 2
    assert verified(item)
    assert verified(item, "whsec_next")


def test_a_refused_webhook_is_sent_again_with_the_same_bytes_until_a_2xx(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    simulator.control.set_webhooks(enabled_events=["checkout.session.completed"])
    receiver.statuses += [500, 302, 404]
    paid_session(simulator, client)

    received = receiver.wait_for_type("checkout.session.completed", 4)
    assert {item.body for item in received} == {received[0].body}
    assert all(verified(item) for item in received)
    eventually(lambda: simulator.control.stats()["webhooks"].get("delivered") == 1)
    assert simulator.control.stats()["webhooks"]["attempts"] == 4


def test_an_endpoint_that_is_away_gets_everything_when_it_is_back(
    simulator: SimulatorServer, client: stripe.StripeClient
) -> None:
    simulator.control.set_webhooks(url="http://127.0.0.1:9/closed", secrets=[SECRET])
    paid_session(simulator, client)
    eventually(lambda: simulator.control.stats()["webhooks"].get("attempts", 0) >= 3)
    assert len(client.v1.events.list({"delivery_success": False}).data) == 3

    with running_receiver() as receiver:
        simulator.control.set_webhooks(url=receiver.url)
        simulator.control.advance_clock(60)
        received = receiver.wait(lambda items: len(items) >= 3)
        eventually(lambda: not client.v1.events.list({"delivery_success": False}).data)

    assert sorted(item.event["type"] for item in received) == CARD_EVENTS


def test_the_wait_doubles_up_to_its_limit() -> None:
    assert [backoff_seconds(attempts, 0.5, 30) for attempts in (1, 2, 3, 7, 100)] == [0.5, 1, 2, 30, 30]


def test_retries_end_after_three_days(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    simulator.control.set_webhooks(url="http://127.0.0.1:9/closed", secrets=[SECRET])
    paid_session(simulator, client)
    eventually(lambda: simulator.control.stats()["webhooks"].get("attempts", 0) >= 3)
    simulator.control.advance_clock(3 * 86_400)

    eventually(lambda: simulator.control.stats()["webhooks"].get("given_up") == 3)


def test_a_slow_endpoint_does_not_slow_the_api(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    receiver.gate.clear()
    paid_session(simulator, client)
    receiver.wait(lambda items: len(items) == 3)

    assert client.v1.checkout.sessions.create(order()).status == "open"
    assert simulator.control.stats()["webhooks"]["sending"] == 3


def test_duplicates_have_one_id_and_twins_have_two(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    enabled = ["checkout.session.completed"]
    simulator.control.set_webhooks(enabled_events=enabled, duplicate_probability=1.0)
    paid_session(simulator, client)
    duplicates = receiver.wait_for_type("checkout.session.completed", 2)
    simulator.control.set_webhooks(duplicate_probability=0.0, twin_probability=1.0)
    session_id = paid_session(simulator, client)
    twins = receiver.wait_for_type("checkout.session.completed", 4)[2:]

    assert len({item.event["id"] for item in duplicates}) == 1
    assert len({item.event["id"] for item in twins}) == 2
    assert {item.event["data"]["object"]["id"] for item in twins} == {session_id}


def test_held_webhooks_leave_shuffled() -> None:
    """Sent one at a time, so that their order is the sender's own."""
    one_at_a_time = replace(CONFIG, webhook_concurrency=1)
    with (
        SimulatorServer(one_at_a_time) as simulator,
        client_of(simulator) as client,
        running_receiver() as receiver,
    ):
        simulator.control.set_webhooks(url=receiver.url, secrets=[SECRET], paused=True)
        for _ in range(4):
            paid_session(simulator, client)
        assert simulator.control.stats()["webhooks"]["held"] == 12
        simulator.control.set_webhooks(paused=False)

        assert simulator.control.release_webhooks() == 12
        sent = [item.event["id"] for item in receiver.wait(lambda items: len(items) == 12)]
        made = [event.id for event in client.v1.events.list({"limit": 100}).data[::-1] if event.id in sent]

    assert sorted(sent) == sorted(made)
    assert sent not in (made, made[::-1])


def test_a_hold_ends_by_number_or_by_time(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    simulator.control.set_webhooks(hold=2, hold_seconds=1000)
    paid_session(simulator, client)
    receiver.wait(lambda items: len(items) == 2)
    assert simulator.control.stats()["webhooks"]["held"] == 1

    simulator.control.advance_clock(1000)

    receiver.wait(lambda items: len(items) == 3)


def test_a_dropped_event_can_be_listed_and_one_never_generated_cannot(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    simulator.control.set_webhooks(drop_types=["charge.succeeded"], never_generate=["checkout.session.completed"])
    paid_session(simulator, client)

    received = receiver.wait(bool)
    assert [item.event["type"] for item in received] == ["payment_intent.succeeded"]
    eventually(lambda: len(client.v1.events.list({"delivery_success": False}).data) == 1)
    undelivered = client.v1.events.list({"delivery_success": False}).data
    assert [event.type for event in undelivered] == ["charge.succeeded"]
    assert client.v1.events.list({"type": "checkout.session.*"}).data == []


def test_a_delayed_webhook_leaves_when_the_clock_says_so(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    simulator.control.set_webhooks(delay_seconds=3600)
    paid_session(simulator, client)
    assert receiver.received == []

    simulator.control.advance_clock(3600)

    receiver.wait(lambda items: len(items) == 3)


def test_an_event_can_be_sent_again(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver
) -> None:
    simulator.control.set_webhooks(enabled_events=["checkout.session.completed"])
    paid_session(simulator, client)
    (first,) = receiver.wait_for_type("checkout.session.completed")

    simulator.control.resend(first.event["id"])

    again = receiver.wait_for_type("checkout.session.completed", 2)[1]
    assert again.body == first.body
    with pytest.raises(ControlError, match="no such event"):
        simulator.control.resend("evt_none")


def test_events_are_listed_by_type_and_time_in_pages(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    paid_session(simulator, client)
    simulator.control.advance_clock(100)
    paid_session(simulator, client)
    every = [event.id for event in client.v1.events.list({"limit": 100}).data]
    newest = client.v1.events.list({"limit": 1}).data[0]

    def types(**filters: Any) -> list[str]:
        parameters: Any = filters
        return [event.type for event in client.v1.events.list(parameters).data]

    assert len(every) == 8
    assert types(type="payment_intent.*") == ["payment_intent.succeeded", "payment_intent.created"] * 2
    assert types(types=["charge.succeeded", "charge.failed"]) == ["charge.succeeded"] * 2
    assert len(types(created={"gte": newest.created})) == 4
    walked = [event.id for event in client.v1.events.list({"limit": 3}).auto_paging_iter()]
    assert walked == every
    backwards = client.v1.events.list({"limit": 3, "ending_before": every[-1]}).auto_paging_iter()
    assert [event.id for event in backwards] == every[-2::-1]


def test_events_are_listed_for_30_days(simulator: SimulatorServer, client: stripe.StripeClient) -> None:
    paid_session(simulator, client)
    simulator.control.advance_clock(31 * 86_400)

    assert [event.type for event in client.v1.events.list().data] == []


@pytest.mark.parametrize(
    "wrong", [{"speed": 1}, {"paused": "yes"}, {"drop_probability": 2}, {"url": "nowhere"}, {"secrets": "x"}]
)
def test_a_wrong_option_changes_nothing(simulator: SimulatorServer, wrong: dict[str, Any]) -> None:
    with pytest.raises(ControlError) as caught:
        simulator.control.set_webhooks(hold=5, **wrong)

    assert caught.value.status == 400
    assert simulator.control.set_webhooks()["hold"] == 0


def test_the_endpoint_can_come_from_the_settings() -> None:
    with running_receiver() as receiver:
        config = Config(webhook_url=receiver.url, webhook_secrets=(SECRET,), seed=1)
        with SimulatorServer(config) as simulator, client_of(simulator) as client:
            paid_session(simulator, client)
            assert all(verified(item) for item in receiver.wait(lambda items: len(items) == 3))
