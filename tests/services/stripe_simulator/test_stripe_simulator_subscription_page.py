"""The hosted page of a subscription: what it says about the price, and how a customer signs up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from tests.services.stripe_simulator.billing import subscription_order, tea
from tests.services.stripe_simulator.page import Page

CARD = {
    "method": "card",
    "email": "jenny@example.com",
    "number": "4242 4242 4242 4242",
    "expiry": "12 / 34",
    "cvc": "123",
    "confirmation": "0",
}
TRIAL = {"trial_period_days": 14}


@pytest.fixture(name="browser")
def _browser() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as browser:
        yield browser


def opened(client: stripe.StripeClient, **changes: Any) -> tuple[str, str]:
    session = client.v1.checkout.sessions.create(subscription_order(**changes))
    assert session.url is not None
    return session.id, session.url


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({}, ["€9.00 due today", "€9.00 / month", "Then €9.00 per month", "Subscribe"]),
        ({"line_items": [tea("year", 2, quantity=3)]}, ["€27.00 / 2 years", "Then €27.00 per 2 years"]),
        ({"subscription_data": TRIAL}, ["€0.00 due today", "Free until", "then €9.00 per month", "Card number"]),
    ],
    ids=["at once", "two years", "trial"],
)
def test_the_page_says_what_it_costs_now_and_later(
    shared_client: stripe.StripeClient, browser: httpx.Client, changes: dict[str, Any], texts: list[str]
) -> None:
    page = Page(browser.get(opened(shared_client, **changes)[1]).text)

    assert (page.open, page.wrong) == ([], [])
    for text in texts:
        assert text in page.text


def test_a_customer_subscribes_and_is_sent_back(shared_client: stripe.StripeClient, browser: httpx.Client) -> None:
    session_id, url = opened(shared_client)
    answer = browser.post(url, data=CARD)

    assert answer.headers["Location"] == f"http://127.0.0.1:9/ok?sid={session_id}"
    session = shared_client.v1.checkout.sessions.retrieve(session_id, {"expand": ["subscription"]})
    assert session.subscription.status == "active"  # type: ignore[union-attr]  # expanded


def test_three_d_secure_is_a_step_of_its_own(shared_client: stripe.StripeClient, browser: httpx.Client) -> None:
    session_id, url = opened(shared_client, subscription_data=TRIAL)
    step = browser.post(url, data={**CARD, "number": "4000002500003155"}).headers["Location"]
    assert shared_client.v1.checkout.sessions.retrieve(session_id).subscription is None
    assert browser.post(step, data={"decision": "approve"}).headers["Location"].endswith(session_id)

    session = shared_client.v1.checkout.sessions.retrieve(session_id, {"expand": ["subscription"]})
    assert session.subscription.status == "trialing"  # type: ignore[union-attr]  # expanded


def test_a_trial_without_a_card_needs_only_an_address(
    shared_client: stripe.StripeClient, browser: httpx.Client
) -> None:
    session_id, url = opened(shared_client, subscription_data=TRIAL, payment_method_collection="if_required")
    page = Page(browser.get(url).text)
    assert "Start trial" in page.text
    assert "Card number" not in page.text
    browser.post(url, data={"email": "jenny@example.com", "confirmation": "0"})

    session = shared_client.v1.checkout.sessions.retrieve(session_id, {"expand": ["subscription"]})
    assert session.subscription.default_payment_method is None  # type: ignore[union-attr]  # expanded
