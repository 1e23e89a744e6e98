"""Card fields on the shop's page, without a browser: the script, the session's view, the frame and its steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.billing import subscription_order
from tests.services.stripe_simulator.conftest import Receiver, order
from tests.services.stripe_simulator.page import Page

ELEMENTS = {
    "ui_mode": "elements",
    "return_url": "http://127.0.0.1:9/return?sid={CHECKOUT_SESSION_ID}",
    "success_url": None,
    "cancel_url": None,
    "allowed_payment_method_types": ["card"],
}
CARD = {"email": "jenny@example.com", "number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123"}


@pytest.fixture(name="browser")
def _browser() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as browser:
        yield browser


def opened(client: stripe.StripeClient, **changes: Any) -> stripe.checkout.Session:
    return client.v1.checkout.sessions.create(order(**ELEMENTS, **changes))


def address(simulator: SimulatorServer, session: stripe.checkout.Session, step: str = "") -> str:
    return f"{simulator.url}/elements/sessions/{session.id}{step}"


def confirmed(
    browser: httpx.Client, simulator: SimulatorServer, session: stripe.checkout.Session, **changes: str
) -> dict[str, Any]:
    form = {"client_secret": session.client_secret or "", "step": "confirm", **CARD, **changes}
    answer: dict[str, Any] = browser.post(address(simulator, session, "/confirm"), data=form).json()
    return answer


def test_any_shops_page_may_load_the_script(shared_simulator: SimulatorServer, browser: httpx.Client) -> None:
    answer = browser.get(f"{shared_simulator.url}/js/stripe.js")

    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "window.Stripe" in answer.text


def test_the_client_secret_shows_the_session(
    shared_simulator: SimulatorServer, shared_client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session = opened(shared_client, customer_email="jenny@example.com")
    query = {"client_secret": session.client_secret or "", "key": "pk_test_x"}
    answer = browser.get(address(shared_simulator, session), params=query)

    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    shown = answer.json()["session"]
    assert shown["total"]["total"] == {"amount": "€25.00", "minorUnitsAmount": 2500}
    assert (shown["currency"], shown["minorUnitsAmountDivisor"], shown["email"]) == ("eur", 100, "jenny@example.com")
    assert (shown["status"], shown["canConfirm"]) == ({"type": "open", "paymentStatus": None}, True)
    assert answer.json()["return_url"] == f"http://127.0.0.1:9/return?sid={session.id}"


@pytest.mark.parametrize(
    ("query", "status"),
    [({"key": "sk_test_payonce"}, 401), ({"client_secret": "cs_other"}, 404), ({"client_secret": "ü"}, 404)],
    ids=str,
)
def test_without_the_right_keys_nothing_is_shown(
    shared_simulator: SimulatorServer,
    shared_client: stripe.StripeClient,
    browser: httpx.Client,
    query: dict[str, str],
    status: int,
) -> None:
    session = opened(shared_client)
    given = {"client_secret": session.client_secret or "", "key": "pk_test_x", **query}

    assert browser.get(address(shared_simulator, session), params=given).status_code == status
    if status == 404:
        assert browser.get(address(shared_simulator, session, "/card"), params=given).status_code == status
        form = {**CARD, "client_secret": given["client_secret"]}
        assert browser.post(address(shared_simulator, session, "/confirm"), data=form).status_code == status


def test_a_hosted_session_has_no_card_fields(
    shared_simulator: SimulatorServer, shared_client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session = shared_client.v1.checkout.sessions.create(order())

    assert browser.get(address(shared_simulator, session), params={"key": "pk_test_x"}).status_code == 404


def test_the_frame_is_well_formed_labelled_and_may_be_framed(
    shared_simulator: SimulatorServer, shared_client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session = opened(shared_client)
    query = {"client_secret": session.client_secret or ""}
    answer = browser.get(address(shared_simulator, session, "/card"), params=query)
    page = Page(answer.text)

    assert (page.open, page.wrong) == ([], [])
    assert {item["id"] for item in page.inputs} == set(page.labelled)
    assert "frame-ancestors *" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_card_pays_and_leads_to_the_return_url(
    simulator: SimulatorServer, client: stripe.StripeClient, receiver: Receiver, browser: httpx.Client
) -> None:
    session = opened(client)
    answer = confirmed(browser, simulator, session)

    assert (answer["type"], answer["session"]["status"]) == ("success", {"type": "complete", "paymentStatus": "paid"})
    assert answer["return_url"].endswith(session.id)
    (completed,) = receiver.wait_for_type("checkout.session.completed")
    assert completed.event["data"]["object"]["customer_details"]["email"] == "jenny@example.com"
    assert "4242424242424242" not in completed.body.decode()


def test_a_second_confirmation_pays_nothing_more(
    simulator: SimulatorServer, client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session = opened(client)
    answers = [confirmed(browser, simulator, session)["type"] for _ in range(3)]

    assert answers == ["success"] * 3
    assert len(client.v1.charges.list().data) == 1


def test_a_decline_says_why_and_the_next_card_pays(
    simulator: SimulatorServer, client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session = opened(client)
    declined = confirmed(browser, simulator, session, number="4000000000009995")

    assert declined == {
        "type": "error",
        "error": {
            "message": "Your card has insufficient funds.",
            "code": "paymentFailed",
            "paymentFailed": {"declineCode": "insufficient_funds"},
        },
    }
    assert confirmed(browser, simulator, session)["type"] == "success"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"number": ""}, "Your card number is invalid."),
        ({"email": ""}, "Please enter your e-mail address."),
        ({"cvc": "1"}, "Your card's security code is incomplete."),
    ],
    ids=str,
)
def test_what_cannot_be_sent_to_a_bank_is_no_try(
    simulator: SimulatorServer,
    client: stripe.StripeClient,
    browser: httpx.Client,
    changes: dict[str, str],
    message: str,
) -> None:
    session = opened(client)

    assert confirmed(browser, simulator, session, **changes)["error"] == {"message": message, "code": None}
    assert simulator.control.session(session.id)["confirmations"] == 0


@pytest.mark.parametrize(("decision", "outcome"), [("approve", "success"), ("decline", "error")])
def test_three_d_secure_stands_in_a_frame_of_its_own(
    simulator: SimulatorServer, client: stripe.StripeClient, browser: httpx.Client, decision: str, outcome: str
) -> None:
    session = opened(client)
    asked = confirmed(browser, simulator, session, number="4000002500003155")
    assert asked["type"] == "requires_action"
    assert confirmed(browser, simulator, session) == asked
    page = browser.get(simulator.url + asked["path"])
    assert "Confirm that it is you" in page.text
    assert "frame-ancestors *" in page.headers["Content-Security-Policy"]

    done = browser.post(simulator.url + asked["path"], data={"decision": decision})

    assert "authenticated" in done.text
    assert confirmed(browser, simulator, session, step="status")["type"] == outcome
    status = client.v1.checkout.sessions.retrieve(session.id).status
    assert status == ("complete" if outcome == "success" else "open")


def test_an_expired_session_takes_no_card(
    simulator: SimulatorServer, client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session = opened(client)
    client.v1.checkout.sessions.expire(session.id)

    assert confirmed(browser, simulator, session)["error"]["code"] == "sessionClosed"
    assert client.v1.payment_intents.list().data == []


def test_a_subscription_can_be_paid_on_the_shops_page_too(
    simulator: SimulatorServer, client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session = client.v1.checkout.sessions.create(subscription_order(**ELEMENTS))
    answer = confirmed(browser, simulator, session)

    assert answer["session"]["recurring"]["dueNext"]["total"]["amount"] == "€9.00"
    assert client.v1.checkout.sessions.retrieve(session.id).subscription is not None
