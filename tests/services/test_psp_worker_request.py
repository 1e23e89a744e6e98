"""The request builder: the exact parameters, and always the same ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from stripe.params.checkout import SessionCreateParams

from payonce.domain.terms import Interval, Recurring
from services.psp_worker.request import UnsupportedRegistration, registration_key, registration_request
from tests.fakes.registrations import register
from tests.services.request_shapes import request_findings

MONTHLY = Recurring("month")


def test_the_whole_request_of_a_sale_on_the_psps_page() -> None:
    command = register("A-1", description="Two tickets", customer_email="ann@example.org")
    metadata = {"order_id": command.order_id, "attempt": "1", "body_hash": command.body_hash}

    assert registration_request(command) == {
        "mode": "payment",
        "ui_mode": "hosted_page",
        "client_reference_id": command.order_id,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {"currency": "eur", "unit_amount": 1999, "product_data": {"name": "Two tickets"}},
            }
        ],
        "success_url": command.success_url,
        "cancel_url": command.cancel_url,
        "expires_at": command.expires_at,
        "customer_email": "ann@example.org",
    }


def test_the_whole_request_of_a_subscription_in_card_fields_on_the_shops_page() -> None:
    command = register("A-1", payment_method="CARD", recurring=Recurring("week", 2, trial_days=14))
    metadata = {"order_id": command.order_id, "attempt": "1", "body_hash": command.body_hash}

    assert registration_request(command) == {
        "mode": "subscription",
        "ui_mode": "elements",
        "client_reference_id": command.order_id,
        "metadata": metadata,
        "subscription_data": {"metadata": metadata, "trial_period_days": 14},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "eur",
                    "unit_amount": 1999,
                    "product_data": {"name": "Order A-1"},
                    "recurring": {"interval": "week", "interval_count": 2},
                },
            }
        ],
        "return_url": command.success_url,
        "allowed_payment_method_types": ["card"],
        "expires_at": command.expires_at,
    }


@pytest.mark.parametrize("method", ["APM", "CARD"])
@pytest.mark.parametrize(
    "recurring", [None, MONTHLY, Recurring("year", 3, 730)], ids=["sale", "monthly", "with-a-trial"]
)
def test_every_request_is_what_the_installed_sdk_knows(method: str, recurring: Recurring | None) -> None:
    """Names, nesting, types and enum values against the SDK's own parameter annotations."""
    command = register(
        payment_method=method, recurring=recurring, customer_email="ann@example.org", description="Tea club"
    )

    assert request_findings(registration_request(command), SessionCreateParams) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"payment_method_types": ["card"]},
        {"ui_mode": "custom"},
        {"expires_at": "soon"},
        {"subscription_data": {"trial_days": 3}},
        {"line_items": [{"price_data": {"currency": "eur", "recurring": {"interval": "fortnight"}}}]},
        {"line_items": [{"price_data": {"unit_amount": 1}}]},
    ],
    ids=["name", "value", "type", "nested-name", "nested-value", "missing"],
)
def test_the_check_against_the_sdk_finds_what_is_wrong(broken: dict[str, Any]) -> None:
    request = registration_request(register(recurring=MONTHLY)) | broken

    assert len(request_findings(request, SessionCreateParams)) == 1


@pytest.mark.parametrize(
    ("method", "recurring", "mode", "ui_mode"),
    [
        ("APM", None, "payment", "hosted_page"),
        ("CARD", None, "payment", "elements"),
        ("APM", MONTHLY, "subscription", "hosted_page"),
        ("CARD", MONTHLY, "subscription", "elements"),
    ],
)
def test_type_and_method_are_mode_and_page(method: str, recurring: Recurring | None, mode: str, ui_mode: str) -> None:
    """The metadata that makes later events ours goes where each mode's events carry it; URLs where each page's go."""
    command = register(payment_method=method, recurring=recurring)
    request = registration_request(command)
    data, other = ("payment_intent_data", "subscription_data")[:: 1 if mode == "payment" else -1]

    assert (request["mode"], request["ui_mode"]) == (mode, ui_mode)
    assert request[data]["metadata"] == request["metadata"]
    assert other not in request
    assert ("return_url" in request) == (ui_mode == "elements") == ("success_url" not in request)
    assert ("cancel_url" in request) == (ui_mode == "hosted_page")


@pytest.mark.parametrize("interval", ["day", "week", "month", "year"])
def test_without_a_trial_none_is_asked_for(interval: Interval) -> None:
    request = registration_request(register(recurring=Recurring(interval)))

    assert "trial_period_days" not in request["subscription_data"]
    assert request["line_items"][0]["price_data"]["recurring"] == {"interval": interval, "interval_count": 1}


def test_without_description_the_reference_names_the_product() -> None:
    request = registration_request(register("A-1"))

    assert request["line_items"][0]["price_data"]["product_data"]["name"] == "Order A-1"
    assert "customer_email" not in request


def test_the_same_command_gives_the_same_request_in_the_same_order() -> None:
    assert repr(registration_request(register())) == repr(registration_request(register()))


def test_the_key_names_order_call_and_attempt() -> None:
    assert registration_key("ord_x", 3) == "ord_x:register:3"


def test_a_subscription_that_does_not_say_how_often_is_billed_by_nobodys_guess() -> None:
    command = register(recurring=MONTHLY)

    with pytest.raises(UnsupportedRegistration, match="recurring"):
        registration_request(replace(command, terms=replace(command.terms, recurring=None)))
