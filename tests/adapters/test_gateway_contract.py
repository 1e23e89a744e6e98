"""One suite for the PaymentGateway port, on the fake and on the real gateway against the Stripe simulator."""

from __future__ import annotations

import pytest

from payonce.ports import Session
from services.psp_worker.request import registration_request
from tests.fakes.gateway import MemoryGateway
from tests.fakes.psps import VERSION, Psp, failure_of, new_command

FOREVER = 2**32


async def test_a_session_is_read_back_as_it_was_made(psp: Psp) -> None:
    made = await psp.registered()
    session = await psp.gateway.session(made.session_id, api_version=VERSION)

    assert session == made
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert session.hosted_page_url is not None


async def test_the_same_key_gives_the_same_session_and_other_parameters_a_mismatch(psp: Psp) -> None:
    command = new_command()
    request, key = registration_request(command), f"{command.order_id}:register:1"
    first = await psp.gateway.register(request, idempotency_key=key, api_version=VERSION)
    again = await psp.gateway.register(request, idempotency_key=key, api_version=VERSION)
    other = {**request, "client_reference_id": "another"}
    failure = await failure_of(psp.gateway.register(other, idempotency_key=key, api_version=VERSION))

    assert again.session == first.session
    assert (first.replayed, again.replayed) == (False, True)
    assert failure.kind == "mismatch"


async def test_an_expired_session_is_closed_and_cannot_be_expired_again(psp: Psp) -> None:
    made = await psp.registered()
    closed = await psp.gateway.expire(made.session_id, idempotency_key="e:1", api_version=VERSION)
    failure = await failure_of(psp.gateway.expire(made.session_id, idempotency_key="e:2", api_version=VERSION))

    assert (closed.status, closed.hosted_page_url) == ("expired", None)
    assert failure.kind == "permanent"
    assert (await psp.gateway.session(made.session_id, api_version=VERSION)).status == "expired"


async def test_a_paid_session_is_complete_names_its_payment_and_cannot_be_expired(psp: Psp) -> None:
    paid = await psp.customer(psp.pay, await psp.registered())
    failure = await failure_of(psp.gateway.expire(paid.session_id, idempotency_key="e:3", api_version=VERSION))

    assert (paid.status, paid.payment_status, paid.payment_intent_status) == ("complete", "paid", "succeeded")
    assert failure.kind == "permanent"
    assert paid.payment_intent is not None
    intent = await psp.gateway.object(paid.payment_intent, api_version=VERSION)
    assert intent is not None
    assert intent.data["metadata"]["order_id"] == paid.metadata["order_id"]
    charge = await psp.gateway.object(intent.data["latest_charge"], api_version=VERSION)
    assert charge is not None
    assert charge.data["payment_intent"] == paid.payment_intent


async def test_a_delayed_payment_is_processing_and_may_fail(psp: Psp) -> None:
    waiting = await psp.customer(psp.pay_later, await psp.registered())
    failed = await psp.customer(psp.fail, waiting)

    assert (waiting.status, waiting.payment_status, waiting.payment_intent_status) == (
        "complete",
        "unpaid",
        "processing",
    )
    assert (failed.status, failed.payment_status, failed.payment_intent_status) == (
        "complete",
        "unpaid",
        "requires_payment_method",
    )


async def test_sessions_are_listed_newest_first_page_by_page(psp: Psp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payonce.adapters.stripe.gateway._PAGE", 3)
    if isinstance(psp.gateway, MemoryGateway):
        psp.gateway.page_size = 3
    made = [await psp.registered() for _ in range(8)]
    listed: list[Session] = []
    after: str | None = None
    while True:
        page = await psp.gateway.sessions_created(
            created_from=0, created_until=FOREVER, after=after, api_version=VERSION
        )
        assert len(page.sessions) <= 3
        assert page.oldest_created == min(session.created for session in page.sessions)
        listed += page.sessions
        if (after := page.next_after) is None:
            break

    assert [session.session_id for session in listed] == [session.session_id for session in reversed(made)]
    assert [session.metadata for session in listed] == [session.metadata for session in reversed(made)]


async def test_sessions_are_listed_by_when_they_were_created(psp: Psp) -> None:
    made = await psp.registered()

    async def listed(created_from: int, created_until: int) -> int:
        page = await psp.gateway.sessions_created(
            created_from=created_from, created_until=created_until, after=None, api_version=VERSION
        )
        return len(page.sessions)

    assert await listed(made.created, made.created) == 1
    assert await listed(made.created + 1, FOREVER) == 0
    assert await listed(0, made.created - 1) == 0


async def test_a_refund_happens_once_under_its_key_and_is_listed_with_its_metadata(psp: Psp) -> None:
    paid = await psp.customer(psp.pay, await psp.registered())
    request = {"payment_intent": paid.payment_intent, "amount": 500, "metadata": {"refund_reference": "r-1"}}
    key = f"{paid.metadata['order_id']}:refund:r-1"
    first = await psp.gateway.refund(request, idempotency_key=key, api_version=VERSION)
    again = await psp.gateway.refund(request, idempotency_key=key, api_version=VERSION)
    assert paid.payment_intent is not None
    page = await psp.gateway.attached("refund", paid.payment_intent, after=None, api_version=VERSION)

    assert first.data["id"] == again.data["id"]
    assert (first.data["amount"], first.data["currency"]) == (500, "eur")
    assert [(refund["id"], refund["metadata"]) for refund in page.objects] == [
        (first.data["id"], {"refund_reference": "r-1"})
    ]
    assert page.next_after is None
    assert await psp.gateway.object(first.data["id"], api_version=VERSION) is not None
    disputes = await psp.gateway.attached("dispute", paid.payment_intent, after=None, api_version=VERSION)
    assert list(disputes.objects) == []


async def test_more_than_is_left_is_refused_and_so_is_what_was_not_paid(psp: Psp) -> None:
    paid = await psp.customer(psp.pay, await psp.registered())
    whole: dict[str, object] = {"payment_intent": paid.payment_intent, "metadata": {}}
    too_much = await failure_of(
        psp.gateway.refund({**whole, "amount": 2000}, idempotency_key="much", api_version=VERSION)
    )
    refund = await psp.gateway.refund(whole, idempotency_key="whole", api_version=VERSION)
    again = await failure_of(psp.gateway.refund(whole, idempotency_key="again", api_version=VERSION))

    assert (too_much.kind, again.kind) == ("permanent", "permanent")
    assert "greater than unrefunded" in too_much.detail
    assert again.code == "charge_already_refunded"
    assert refund.data["amount"] == 1999


async def test_what_does_not_exist_is_refused_or_absent(psp: Psp) -> None:
    session = await failure_of(psp.gateway.session("cs_test_none", api_version=VERSION))
    expiry = await failure_of(psp.gateway.expire("cs_test_none", idempotency_key="x", api_version=VERSION))

    assert (session.kind, session.http_status) == ("permanent", 404)
    assert expiry.kind == "permanent"
    assert await psp.gateway.object("pi_none", api_version=VERSION) is None
    assert await psp.gateway.object("what_is_this", api_version=VERSION) is None


async def test_the_canary_comes_back(psp: Psp) -> None:
    await psp.gateway.canary(api_version=VERSION)
