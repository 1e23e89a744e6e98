"""The cart, the forms that fill it, and the shop's settings: whatever strangers send."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.demo_shop.cart import WAYS, Cart, Way, read_cart
from sandbox.demo_shop.catalogue import CURRENCIES, PRODUCTS
from sandbox.demo_shop.settings import SettingMissing, read_settings
from tests.services.demo_shop.conftest import (
    SHOP_URL,
)

#: Contents that can be ordered together.
TOGETHER = st.one_of(
    st.dictionaries(
        st.sampled_from([sku for sku in PRODUCTS if PRODUCTS[sku].every is None]), st.integers(1, 9), min_size=1
    ),
    st.integers(1, 9).map(lambda number: {"club": number}),
)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/cart/add", {"sku": "yacht"}),
        ("/cart/quantity", {"sku": "mug", "quantity": "-1"}),
        ("/cart/quantity", {"sku": "mug", "quantity": "10"}),
        ("/cart/quantity", {"sku": "mug"}),
        ("/currency", {"currency": "XXX"}),
        ("/cart/way", {"way": "cash"}),
        ("/cart/way", {}),
        ("/cart/add", {f"field{number}": "" for number in range(50)}),
    ],
)
async def test_a_form_that_is_not_the_shops_is_a_400(
    customer: httpx.AsyncClient, path: str, form: dict[str, str]
) -> None:
    assert (await customer.post(path, data=form)).status_code == 400


async def test_a_form_of_a_megabyte_is_not_read(customer: httpx.AsyncClient) -> None:
    assert (await customer.post("/cart/add", content=b"x" * 1_000_000)).status_code == 413


@given(st.text())
def test_any_cookie_is_a_cart(cookie: str) -> None:
    """A customer can write anything into the cookie: it makes a cart that the shop could have made, or an empty one."""
    cart = read_cart(cookie)

    assert cart == read_cart(cart.cookie())
    assert all(0 < quantity <= 9 for quantity in cart.quantities.values())


@given(st.sampled_from(sorted(CURRENCIES)), st.sampled_from(WAYS), TOGETHER)
def test_a_cart_comes_back_from_its_cookie(code: str, way: Way, quantities: dict[str, int]) -> None:
    cart = Cart("SK-ABCDEFGHIJKLMNOP", code, quantities, way)

    assert read_cart(cart.cookie()) == cart
    assert cart.amount == sum(PRODUCTS[sku].prices[code] * number for sku, number in quantities.items())


@given(TOGETHER, st.sampled_from(sorted(PRODUCTS)), st.integers(0, 12))
def test_what_is_put_in_goes_with_what_is_there_or_takes_its_place(
    quantities: dict[str, int], sku: str, number: int
) -> None:
    """A subscription and things are never in one cart, whatever is put in or taken out, in whatever order."""
    cart = Cart("SK-ABCDEFGHIJKLMNOP", "EUR", quantities).with_quantity(sku, number, "SK-PONMLKJIHGFEDCBA")

    assert cart.quantities.get(sku, 0) == min(number, 9)
    assert len({line.product.every for line in cart.lines}) <= 1
    if number == 0:
        assert cart.quantities == {other: count for other, count in quantities.items() if other != sku}


def test_a_cookie_that_mixes_a_subscription_with_things_is_no_cart_of_this_shop() -> None:
    cookie = Cart("SK-ABCDEFGHIJKLMNOP", "EUR", {"club": 1}).cookie()

    assert read_cart(cookie).count == 1
    assert read_cart(f"{cookie}.mug-1").count == 0


COMPLETE = {
    "SHOP_PORT": "8001",
    "SHOP_URL": SHOP_URL + "/",
    "SHOP_API_URL": "http://127.0.0.1:8000",
    "SHOP_API_KEY": "key",
    "SHOP_RETURN_SECRET": "secret",
}


@pytest.mark.parametrize("name", ["SHOP_PORT", "SHOP_URL", "SHOP_API_URL", "SHOP_API_KEY", "SHOP_RETURN_SECRET"])
def test_a_missing_setting_is_named(name: str) -> None:
    assert read_settings(COMPLETE).redirect_url == f"{SHOP_URL}/thanks"
    assert read_settings(COMPLETE).card_fields is None
    with pytest.raises(SettingMissing, match=name):
        read_settings({**COMPLETE, name: " "})


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"SHOP_PSP_SCRIPT_URL": "https://js.stripe.com/basil/stripe.js"}, "SHOP_PSP_KEY"),
        ({"SHOP_PSP_KEY": "pk_test_x"}, "SHOP_PSP_SCRIPT_URL"),
        ({"SHOP_PSP_KEY": "pk_test_x", "SHOP_PSP_SCRIPT_URL": "javascript:0"}, "SHOP_PSP_SCRIPT_URL"),
        ({"SHOP_PSP_KEY": "sk_test_x", "SHOP_PSP_SCRIPT_URL": "https://js.stripe.com/v3"}, "SHOP_PSP_KEY"),
    ],
    ids=["no key", "no script", "no address", "a secret key"],
)
def test_card_fields_that_cannot_work_are_named(given: dict[str, str], wrong: str) -> None:
    """A secret key above all: every customer would see it."""
    with pytest.raises(SettingMissing, match=wrong):
        read_settings({**COMPLETE, **given})
