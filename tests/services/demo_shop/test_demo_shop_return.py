"""Coming back from paying: what is believed of the redirect, and what is not."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.demo_shop.signature import Forged, sign, verify
from services.checkout_api.links import return_signature
from tests.services.demo_shop.conftest import (
    SECRET,
    FakeCheckoutApi,
    cart_in,
    fill_cart,
    problem,
    reference_on,
    returned,
)


@pytest.mark.parametrize("name", ["payment_order_id", "reference", "status", "amount", "currency", "time", "signature"])
@pytest.mark.parametrize("change", ["altered", "missing", "repeated"])
async def test_a_forged_return_is_not_believed(customer: httpx.AsyncClient, name: str, change: str) -> None:
    good = returned("SK-AAAAAAAAAAAAAAAA")
    pairs = [pair for pair in good.items() if change != "missing" or pair[0] != name]
    if change == "altered":
        pairs = [(key, value + ("1" if key == name else "")) for key, value in pairs]
    if change == "repeated":
        pairs.append((name, good[name]))

    assert (await customer.get("/thanks?" + urlencode(list(good.items())))).status_code == 200
    forged = await customer.get("/thanks?" + urlencode(pairs))
    assert forged.status_code == 400
    assert "forged" in forged.text
    assert good["reference"] not in forged.text


async def test_a_return_signed_with_another_secret_is_forged(customer: httpx.AsyncClient) -> None:
    page = await customer.get("/thanks", params=returned("SK-AAAAAAAAAAAAAAAA", secret=b"other"))

    assert page.status_code == 400


@given(st.fixed_dictionaries(dict.fromkeys(returned("r").keys() - {"signature"}, st.text(max_size=20))))
def test_the_shop_and_the_payment_service_sign_alike(parameters: dict[str, str]) -> None:
    """Two implementations, written apart, of one documented signature."""
    assert sign(SECRET, parameters) == return_signature(SECRET, parameters)


def test_a_signature_that_is_not_ascii_is_forged() -> None:
    with pytest.raises(Forged):
        verify(SECRET, list({**returned("r"), "signature": "ä"}.items()))


async def test_a_customer_ahead_of_the_webhook_is_not_told_to_pay(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    reference = await fill_cart(customer)
    await customer.post("/checkout", data={"reference": reference})
    api.set_status("registered")
    thanks = await customer.get("/thanks", params=returned(reference, "pending"))
    url = re.search(r'data-source="([^"]+)"', thanks.text)

    assert url is not None
    assert 'data-status="pending"' in thanks.text
    answer = (await customer.get(url[1])).json()
    assert (answer["status"], answer["may_pay"]) == ("pending", False)
    api.set_status("paid")
    assert (await customer.get(url[1])).json()["status"] == "paid"


async def test_a_signed_paid_that_the_payment_service_does_not_confirm_is_not_shown(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    """A redirect is never proof of payment: not even the one that says so itself."""
    reference = await fill_cart(customer)
    await customer.post("/checkout", data={"reference": reference})
    api.set_status("registered")
    thanks = await customer.get("/thanks", params=returned(reference, "paid"))

    assert 'data-status="pending"' in thanks.text
    assert cart_in(customer).count == 2


async def test_a_return_while_the_payment_service_is_away_promises_nothing(
    api: FakeCheckoutApi, customer: httpx.AsyncClient
) -> None:
    api.failures.append(problem(503, "away"))
    thanks = await customer.get("/thanks", params=returned("SK-AAAAAAAAAAAAAAAA", "paid"))

    assert thanks.status_code == 200
    assert 'data-status="pending"' in thanks.text


async def test_a_customer_who_turned_back_can_go_on_to_pay(api: FakeCheckoutApi, customer: httpx.AsyncClient) -> None:
    reference = await fill_cart(customer)
    first = await customer.post("/checkout", data={"reference": reference})
    api.set_status("registered")
    thanks = await customer.get("/thanks", params=returned(reference, "registered"))
    again = await customer.post("/checkout", data={"reference": reference_on(thanks)})

    assert again.headers["location"] == first.headers["location"]
    assert cart_in(customer).count == 2
