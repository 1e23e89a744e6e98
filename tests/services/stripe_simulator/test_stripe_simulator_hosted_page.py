"""The hosted page, used as a browser without scripts would: by its forms."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import Receiver, order
from tests.services.stripe_simulator.page import Page

CARD = {
    "method": "card",
    "email": "jenny@example.com",
    "number": "4242 4242 4242 4242",
    "expiry": "12 / 34",
    "cvc": "123",
}

#: Longer than the page takes once the shop has answered.
SURELY_WAITING_SECONDS = 0.3


@pytest.fixture(name="browser")
def _browser() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as browser:
        yield browser


def opened(client: stripe.StripeClient, **changes: Any) -> tuple[str, str]:
    session = client.v1.checkout.sessions.create(order(**changes))
    assert session.url is not None
    return session.id, session.url


def post(browser: httpx.Client, url: str, form: dict[str, str], confirmation: int = 0) -> httpx.Response:
    return browser.post(url, data={**form, "confirmation": str(confirmation)})


def test_the_page_shows_what_is_bought_and_how_to_pay(
    shared_client: stripe.StripeClient, browser: httpx.Client
) -> None:
    _, url = opened(shared_client)

    response = browser.get(url)
    page = Page(response.text)

    assert response.status_code == 200
    for text in ("Green tea", "€25.00", "Card", "iDEAL", "SEPA Direct Debit", "4000 0000 0000 9995", "← Back"):
        assert text in page.text
    assert "http://127.0.0.1:9/back" in page.addresses


@pytest.mark.parametrize("card", [None, "4000002500003155"])
def test_the_page_is_well_formed_labelled_and_self_contained(
    shared_client: stripe.StripeClient, browser: httpx.Client, card: str | None
) -> None:
    _, url = opened(shared_client, cancel_url=None)
    if card:
        url = post(browser, url, {**CARD, "number": card}).headers["Location"]

    response = browser.get(url)
    page = Page(response.text)

    assert (page.open, page.wrong) == ([], [])
    assert len(page.ids) == len(set(page.ids))
    assert {item["id"] for item in page.inputs if item["type"] != "hidden"} == set(page.labelled)
    assert page.addresses == []
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_what_the_shop_wrote_is_escaped(shared_client: stripe.StripeClient, browser: httpx.Client) -> None:
    product = {"currency": "eur", "unit_amount": 100, "product_data": {"name": "<script>alert(1)</script>"}}
    _, url = opened(shared_client, line_items=[{"price_data": product, "quantity": 1}])

    assert "<script>alert(1)" not in browser.get(url).text


def test_a_card_payment_leads_back_with_the_session_id(
    client: stripe.StripeClient, browser: httpx.Client, receiver: Receiver
) -> None:
    session_id, url = opened(client)

    response = post(browser, url, CARD)

    assert response.status_code == 303
    assert response.headers["Location"] == f"http://127.0.0.1:9/ok?sid={session_id}"
    session = client.v1.checkout.sessions.retrieve(session_id)
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    assert session.customer_details is not None
    assert session.customer_details.email == "jenny@example.com"
    assert receiver.wait_for_type("checkout.session.completed")


def test_the_customer_is_sent_back_only_after_the_shop_has_answered_the_webhook(
    client: stripe.StripeClient, browser: httpx.Client, receiver: Receiver
) -> None:
    _, url = opened(client)
    receiver.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        try:
            paying = pool.submit(post, browser, url, CARD)
            receiver.wait_for_type("checkout.session.completed")

            with pytest.raises(TimeoutError):
                paying.result(timeout=SURELY_WAITING_SECONDS)
        finally:
            receiver.gate.set()

        assert paying.result().status_code == 303


def test_a_double_click_pays_once(client: stripe.StripeClient, browser: httpx.Client) -> None:
    session_id, url = opened(client)

    answers = [post(browser, url, CARD) for _ in range(3)]

    assert {answer.headers["Location"] for answer in answers} == {f"http://127.0.0.1:9/ok?sid={session_id}"}
    assert len(client.v1.charges.list().data) == 1


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("4000000000000002", "Your card was declined."),
        ("4000000000009995", "Your card has insufficient funds."),
        ("4000000000000069", "Your card has expired."),
        ("4000000000000127", "Your card's security code is incorrect."),
    ],
)
def test_a_decline_is_shown_and_the_customer_tries_again(
    client: stripe.StripeClient, browser: httpx.Client, number: str, message: str
) -> None:
    session_id, url = opened(client)

    declined = post(browser, url, {**CARD, "number": number})
    assert declined.status_code == 303
    page = Page(browser.get(declined.headers["Location"]).text)
    assert message in page.text
    assert client.v1.checkout.sessions.retrieve(session_id).status == "open"

    paid = post(browser, url, CARD, int(page.hidden("confirmation")))
    assert paid.headers["Location"].startswith("http://127.0.0.1:9/ok")
    assert [intent.status for intent in client.v1.payment_intents.list().data] == ["succeeded"]


def test_a_double_click_on_a_declined_card_is_one_try(client: stripe.StripeClient, browser: httpx.Client) -> None:
    _, url = opened(client)

    for _ in range(3):
        post(browser, url, {**CARD, "number": "4000000000000002"})

    assert len(client.v1.events.list({"type": "payment_intent.payment_failed"}).data) == 1


@pytest.mark.parametrize("number", ["4000002500003155", "4000 0027 6000 3184"])
def test_3d_secure_is_a_step_of_its_own(client: stripe.StripeClient, browser: httpx.Client, number: str) -> None:
    session_id, url = opened(client)

    step = post(browser, url, {**CARD, "number": number})
    page = browser.get(step.headers["Location"])
    assert "Complete authentication" in page.text
    assert client.v1.payment_intents.list().data[0].status == "requires_action"
    assert browser.get(url).headers["Location"] == step.headers["Location"]

    passed = browser.post(step.headers["Location"], data={"decision": "approve"})
    assert passed.headers["Location"] == f"http://127.0.0.1:9/ok?sid={session_id}"


def test_failed_authentication_leaves_the_session_open_without_a_charge(
    client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session_id, url = opened(client)
    step = post(browser, url, {**CARD, "number": "4000002500003155"}).headers["Location"]

    failed = browser.post(step, data={"decision": "decline"})

    assert failed.headers["Location"] == url
    assert "failed authentication" in browser.get(url).text
    assert client.v1.checkout.sessions.retrieve(session_id).status == "open"
    assert client.v1.charges.list().data == []
    assert client.v1.payment_intents.list().data[0].status == "requires_payment_method"


@pytest.mark.parametrize(("decision", "status"), [("approve", "complete"), ("decline", "open")])
def test_the_bank_asks_on_its_own_page(
    shared_client: stripe.StripeClient, browser: httpx.Client, decision: str, status: str
) -> None:
    session_id, url = opened(shared_client)

    step = post(browser, url, {"method": "ideal", "email": "jenny@example.com"}).headers["Location"]
    assert "Approve payment" in browser.get(step).text
    browser.post(step, data={"decision": decision})

    assert shared_client.v1.checkout.sessions.retrieve(session_id).status == status


@pytest.mark.parametrize(
    ("iban", "status"),
    [
        ("DE89 3704 0044 0532 0130 00", "paid"),
        ("DE62370400440532013001", "unpaid"),
        ("DE78370400440532013004", "unpaid"),
    ],
)
def test_a_delayed_debit_sends_the_customer_back_before_the_money(
    shared_simulator: SimulatorServer, shared_client: stripe.StripeClient, browser: httpx.Client, iban: str, status: str
) -> None:
    session_id, url = opened(shared_client)

    response = post(browser, url, {"method": "sepa_debit", "email": "jenny@example.com", "account": iban})

    assert response.headers["Location"].startswith("http://127.0.0.1:9/ok")
    assert "being processed" in browser.get(url).text
    assert shared_client.v1.checkout.sessions.retrieve(session_id).payment_status == "unpaid"
    shared_simulator.control.advance_clock(3 * 86_400)
    assert shared_client.v1.checkout.sessions.retrieve(session_id).payment_status == status


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"number": "4242 4242 4242 4241"}, "Your card number is invalid."),
        ({"number": "5105 1051 0510 5100"}, "non test card"),
        ({"number": ""}, "Your card number is invalid."),
        ({"expiry": "13 / 34"}, "incomplete"),
        ({"expiry": "01 / 20"}, "in the past"),
        ({"cvc": "1"}, "security code is incomplete"),
        ({"email": "jenny"}, "enter your e-mail"),
        ({"method": "bitcoin"}, "choose a payment method"),
        ({"method": "sepa_debit", "account": "DE00"}, "Use a test account"),
    ],
)
def test_a_form_that_cannot_be_sent_says_why(
    client: stripe.StripeClient, browser: httpx.Client, changes: dict[str, str], message: str
) -> None:
    """Nothing reaches a bank, and no number that was typed is shown again."""
    _, url = opened(client)

    response = post(browser, url, {**CARD, **changes})

    assert response.status_code == 422
    assert message in Page(response.text).text
    assert client.v1.events.list().data == []
    assert 'value="4242' not in response.text


def test_a_paid_or_expired_or_unknown_session_says_so(client: stripe.StripeClient, browser: httpx.Client) -> None:
    _, paid = opened(client)
    post(browser, paid, CARD)
    expired_id, expired = opened(client)
    client.v1.checkout.sessions.expire(expired_id)

    assert "all done here" in Page(browser.get(paid).text).text
    assert browser.get(expired).status_code == 410
    assert "has expired" in post(browser, expired, CARD).text
    assert browser.get(expired[:-3]).status_code == 404
    assert len(client.v1.charges.list().data) == 1


def test_a_session_that_expires_during_3d_secure_charges_nothing(
    client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session_id, url = opened(client)
    step = post(browser, url, {**CARD, "number": "4000002500003155"}).headers["Location"]
    client.v1.checkout.sessions.expire(session_id)

    assert browser.post(step, data={"decision": "approve"}).status_code == 410
    assert client.v1.charges.list().data == []


def test_an_elements_session_has_no_page(
    shared_simulator: SimulatorServer, shared_client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session = shared_client.v1.checkout.sessions.create(
        order(ui_mode="elements", return_url="http://shop/", success_url=None, cancel_url=None)
    )

    assert browser.get(f"{shared_simulator.url}/c/pay/{session.id}").status_code == 404


def test_an_order_of_nothing_is_confirmed_with_one_button(
    shared_client: stripe.StripeClient, browser: httpx.Client
) -> None:
    product = {"currency": "eur", "unit_amount": 0, "product_data": {"name": "Gift"}}
    session_id, url = opened(shared_client, line_items=[{"price_data": product, "quantity": 1}])
    assert "Complete order" in browser.get(url).text

    post(browser, url, {"email": "jenny@example.com"})

    assert shared_client.v1.checkout.sessions.retrieve(session_id).payment_status == "no_payment_required"
