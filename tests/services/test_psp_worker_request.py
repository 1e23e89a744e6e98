"""The request builder: the exact parameters, and always the same ones."""

from __future__ import annotations

import pytest

from services.psp_worker.request import UnsupportedRegistration, registration_key, registration_request
from tests.fakes.registrations import register


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


def test_without_description_the_reference_names_the_product() -> None:
    request = registration_request(register("A-1"))

    assert request["line_items"][0]["price_data"]["product_data"]["name"] == "Order A-1"
    assert "customer_email" not in request


def test_the_same_command_gives_the_same_request_in_the_same_order() -> None:
    assert repr(registration_request(register())) == repr(registration_request(register()))


def test_the_key_names_order_call_and_attempt() -> None:
    assert registration_key("ord_x", 3) == "ord_x:register:3"


def test_a_card_on_the_shops_own_page_is_not_offered() -> None:
    with pytest.raises(UnsupportedRegistration, match="CARD"):
        registration_request(register(payment_method="CARD"))
