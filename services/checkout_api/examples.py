"""Orders as the OpenAPI document shows them: one of each kind, asked for and answered. Tests hold them to the API."""

from __future__ import annotations

from typing import Any

from pydantic.config import JsonDict

_SALE: JsonDict = {
    "reference": "A-1001",
    "amount": 1050,
    "currency": "EUR",
    "payment_type": "SALE",
    "payment_method": "APM",
    "redirect_url": "https://shop.example/thanks",
    "description": "Two books",
}
_CARD: JsonDict = {**_SALE, "reference": "A-1002", "payment_method": "CARD"}
_SUBSCRIPTION: JsonDict = {
    **_SALE,
    "reference": "C-7",
    "amount": 900,
    "payment_type": "RECC",
    "recurring": {"interval": "month", "interval_count": 1, "trial_days": 14},
    "description": "Tea club",
}
_CARD_SUBSCRIPTION: JsonDict = {**_SUBSCRIPTION, "reference": "C-8", "payment_method": "CARD"}
#: What is posted.
REQUESTS: list[JsonDict] = [_SALE, _CARD, _SUBSCRIPTION, _CARD_SUBSCRIPTION]

_ID = "ord_2zu5xyjekiza6zrisdkyseulyu"
_PAGE: JsonDict = {"hosted_page_url": "https://checkout.stripe.com/c/pay/cs_a1b2"}
_SECRET: JsonDict = {"client_secret": "cs_a1b2_secret_c3d4"}


def _answered(request: JsonDict, way_to_pay: JsonDict) -> JsonDict:
    said = {name: value for name, value in request.items() if name != "description"}
    return {
        "object": "payment_order",
        "id": _ID,
        "psp": "stripe",
        **said,
        "currency": "eur",
        "status": "registered",
        "attempt": 1,
        "checkout_url": f"https://pay.example/checkout/{_ID}?t=3f9c",
        **way_to_pay,
        "created_at": 1_795_000_000,
        "updated_at": 1_795_000_001,
    }


#: What is answered to who waited for it.
REGISTERED: dict[str, Any] = {  # Any: a part of an OpenAPI document
    "application/json": {
        "examples": {
            "page": {"summary": "APM: send the customer to the page", "value": _answered(_SALE, _PAGE)},
            "card": {"summary": "CARD: open the card fields on your page", "value": _answered(_CARD, _SECRET)},
            "subscription": {"summary": "RECC on the PSP's page", "value": _answered(_SUBSCRIPTION, _PAGE)},
            "card subscription": {
                "summary": "RECC in card fields on your page",
                "value": _answered(_CARD_SUBSCRIPTION, _SECRET),
            },
        }
    }
}
