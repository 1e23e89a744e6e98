"""Who is believed: signatures, secrets, bodies, and the page that is shown only when its token is stored."""

from __future__ import annotations

import json
import time

import pytest
from confluent_kafka import Message

from tests.end_to_end.shop import Shop, eventually, type_of

pytestmark = pytest.mark.stack

EVENT = json.dumps(
    {
        "id": "evt_forged",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_795_000_000,
        "livemode": False,
        "type": "checkout.session.completed",
        "data": {"object": {"id": "cs_test_forged", "object": "checkout.session", "metadata": {}}},
    }
).encode()

#: Where a webhook could leave a trace; the other topics have traffic of their own.
WEBHOOK_TOPICS = ("payments.webhooks", "payments.webhooks.dlt")


def traces(shop: Shop, event_id: bytes) -> list[Message]:
    """Every record there that names the event; other payments' webhooks may come at any time."""
    records = (record for topic in WEBHOOK_TOPICS for record in shop.records(topic))
    return [record for record in records if event_id in (record.key() or b"") + (record.value() or b"")]


def test_a_webhook_that_cannot_be_believed_gets_400_and_leaves_no_trace(shop: Shop) -> None:
    signed = shop.send_webhook(EVENT, secret="whsec_of_somebody_else")
    old = shop.send_webhook(EVENT, at=time.time() - 3_600)
    early = shop.send_webhook(EVENT, at=time.time() + 3_600)
    none = shop.send_raw_webhook(EVENT, {})
    garbage = shop.send_raw_webhook(EVENT, {"Stripe-Signature": "t=now,v1=0"})

    assert {answer.status_code for answer in (signed, old, early, none, garbage)} == {400}
    assert traces(shop, b"evt_forged") == []


def test_one_changed_byte_is_enough(shop: Shop) -> None:
    order = shop.registered()
    changed = EVENT.replace(b"evt_forged", b"evt_forgee")

    answer = shop.send_raw_webhook(changed, shop.signature_of(EVENT))

    assert answer.status_code == 400
    assert traces(shop, b"evt_forgee") == []
    assert shop.order(order["id"])["status"] == "registered"


def test_during_a_rotation_a_signature_of_either_secret_is_believed(shop: Shop) -> None:
    """Stripe then sends one signature per secret; ours is among them."""
    shop.control("POST", "/webhooks", {"secrets": ["whsec_new_one", shop.addresses.webhook_secret]})
    order = shop.registered()

    shop.pay(order)

    shop.wait_for_status(order["id"], "paid")


def test_the_page_is_not_reachable_before_the_token_is_in_postgresql(shop: Shop) -> None:
    """With the status processor held, the session exists at the PSP and its event in the log, but nobody sees it."""
    shop.world.supervisor.hold("status_processor")
    try:
        order = shop.post(shop.body()).json()
        eventually(lambda: shop.sessions_of(order["id"]) == 1, "the session exists at the PSP")
        eventually(lambda: shop.records("payments.tokens", order["id"]), "the token is in the log")

        page = shop.get(order["checkout_url"])

        assert page.status_code == 200
        assert "Refresh" in page.headers
        assert "cs_test" not in page.text
    finally:
        shop.world.supervisor.resume("status_processor")
    answer = eventually(
        lambda: found if (found := shop.get(order["checkout_url"])).status_code == 303 else None, "page"
    )
    assert shop.addresses.simulator_url is not None
    assert answer.headers["Location"].startswith(shop.addresses.simulator_url)


def test_another_body_under_the_same_reference_is_refused(shop: Shop) -> None:
    body = shop.body()
    assert shop.post(body, wait=20).status_code == 201

    answer = shop.post({**body, "amount": 1})

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert "amount" in answer.text


def test_with_the_fold_away_the_worker_refuses_the_other_body_and_its_link_shows_no_page(shop: Shop) -> None:
    """The log decides which body came first; the loser's checkout link never shows the winner's page."""
    shop.world.supervisor.hold("status_processor")
    try:
        body = shop.body()
        winner, loser = shop.post(body), shop.post({**body, "amount": 1})
        assert (winner.status_code, loser.status_code) == (202, 202)
        order_id = winner.json()["id"]
        outcomes = eventually(
            lambda: found if len(found := shop.records("payments.tokens", order_id)) == 2 else None, "two outcomes"
        )
        assert sorted(map(type_of, outcomes)) == ["payonce.CommandRejected.v1", "payonce.TokenIssued.v1"]
    finally:
        shop.world.supervisor.resume("status_processor")
    eventually(lambda: shop.get(winner.json()["checkout_url"]).status_code == 303, "the winner's page")

    answer = shop.get(loser.json()["checkout_url"])

    assert shop.addresses.simulator_url is not None
    assert not answer.headers.get("Location", "").startswith(shop.addresses.simulator_url)
    assert shop.sessions_of(order_id) == 1
    # The token may be folded before the command, which another partition brings: until then nobody knows whose it is.
    order = eventually(lambda: shop.order(order_id), "the order")
    assert order["amount"] == 4_990
