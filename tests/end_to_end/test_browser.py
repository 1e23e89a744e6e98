"""The demo shop, the hosted page and the card fields as a customer meets them, in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect, sync_playwright

from sandbox.world import World

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FOUND = next(filter(None, map(shutil.which, _NAMES)), None)
_NOT_FOUND = f"no Chromium on this machine: none of {', '.join(_NAMES)} is on the PATH"
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [
    pytest.mark.stack,
    pytest.mark.browser,
    pytest.mark.skipif(not _FOUND and os.environ.get("PAYONCE_REQUIRE_BROWSER") != "1", reason=_NOT_FOUND),
]
#: Two cores may carry a broker, a database, six processes and the browser: patience, not a measurement.
_PATIENCE_MS = 60_000
GOOD_CARD = "4242 4242 4242 4242"
DECLINED_CARD = "4000 0000 0000 0002"
SECURE_CARD = "4000 0025 0000 3155"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as it is installed; none is downloaded. PAYONCE_REQUIRE_BROWSER=1 makes its absence a failure."""
    if _FOUND is None:
        pytest.fail(_NOT_FOUND)
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_FOUND, args=_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, world: World) -> Iterator[Page]:
    """A new customer's browser, in front of the shop. A script's error or a refused resource fails the test."""
    context = browser.new_context(base_url=world.addresses.shop_url, viewport={"width": 390, "height": 780})
    context.set_default_timeout(_PATIENCE_MS)
    tab, errors = context.new_page(), list[str]()
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("response", lambda response: errors.extend(_server_error(response)))
    tab.on("console", lambda message: errors.extend(_refusal(message)))
    yield tab
    context.close()
    assert errors == []


def test_a_customer_buys_a_mug_and_sees_it_paid(page: Page) -> None:
    check_out(page, "Morning mug")
    expect(page.locator(".total")).to_have_text("€18.50")
    pay(page, GOOD_CARD)
    page.wait_for_url("**/thanks?**")

    expect_status(page, "paid")
    expect(page.locator("#headline")).to_have_text("Paid. Thank you!")
    expect(page.locator("[aria-current=step]")).to_have_text("Paid")
    expect(page.locator("main")).to_contain_text("a redirect is no proof of payment")
    expect(page.locator("#count")).to_be_hidden()

    page.get_by_role("link", name="Orders").click()
    reference = parameter(page.locator(".rows a").first.inner_text(), r"SK-[A-Z2-7]{16}")
    expect(page.locator(".rows li", has_text=reference).locator(".badge")).to_have_text("paid")


def test_a_declined_card_says_so_and_a_good_one_pays(page: Page) -> None:
    check_out(page, "Round teapot")
    pay(page, DECLINED_CARD)

    expect(page.get_by_role("alert")).to_contain_text("declined")
    pay(page, GOOD_CARD)
    page.wait_for_url("**/thanks?**")
    expect_status(page, "paid")


def test_the_status_changes_while_the_customer_looks(page: Page, world: World) -> None:
    """With the status processor held, the customer is back before anybody knows: `pending`, then paid, on one page."""
    check_out(page, "Tea tin")
    with held(world, "status_processor"):
        pay(page, GOOD_CARD)
        page.wait_for_url("**/thanks?**")
        expect(page.locator("#returned")).to_have_text("pending")
        expect_status(page, "pending")
        loads: list[str] = []
        page.on("framenavigated", lambda frame: loads.append(frame.url))
    expect_status(page, "paid")

    assert loads == []
    expect(page.locator("#returned")).to_have_text("pending")


def test_a_customer_who_turns_back_can_go_on(page: Page) -> None:
    check_out(page, "Whisking bowl")
    page.get_by_role("link", name="Back").click()
    page.wait_for_url("**/thanks?**")

    expect_status(page, "registered")
    page.get_by_role("button", name="Go on to the payment").click()
    pay(page, GOOD_CARD)
    page.wait_for_url("**/thanks?**")
    expect_status(page, "paid")


def test_a_customer_who_is_asked_to_try_again_does(page: Page, world: World) -> None:
    """With the API away the shop says so, and the very same order is placed once it is back."""
    fill_cart(page, "Morning mug")
    with held(world, "checkout_api"):
        with page.expect_navigation():
            page.get_by_role("button", name="Check out").click()
        expect(page.get_by_role("alert")).to_contain_text("Nothing has been charged")
    place(page, "Try again")
    page.wait_for_url("**/c/pay/**")

    expect(page.locator(".total")).to_have_text("€18.50")


def test_a_return_address_with_another_amount_is_not_believed(page: Page) -> None:
    check_out(page, "Morning mug")
    page.get_by_role("link", name="Back").click()
    page.wait_for_url("**/thanks?**")
    amount = parameter(page.url, r"amount=1850\b")
    answer = page.goto(page.url.replace(amount, "amount=1"))

    assert answer is not None
    assert answer.status == 400
    expect(page.get_by_role("alert")).to_contain_text("forged")


def test_a_card_is_typed_on_the_shops_own_page(page: Page) -> None:
    """Declined, then paid, and the customer never leaves the shop; what is typed stands in the provider's frame."""
    choose_card(page, "Morning mug")
    expect(page.locator("#total")).to_have_text("€18.50")
    type_card(page, DECLINED_CARD)
    expect(page.get_by_role("alert")).to_contain_text("declined")
    assert "/pay/ord_" in page.url
    type_card(page, GOOD_CARD)
    page.wait_for_url("**/thanks?**")

    expect_status(page, "paid")
    expect(page.locator("#count")).to_be_hidden()


def test_the_bank_asks_over_the_shops_own_page(page: Page) -> None:
    choose_card(page, "Tea tin")
    type_card(page, SECURE_CARD)
    bank = page.frame_locator('iframe[title="Authentication by your bank"]')
    bank.get_by_role("button", name="Complete authentication").click()
    page.wait_for_url("**/thanks?**")

    expect_status(page, "paid")


def test_a_customer_who_left_the_card_fields_finds_them_again(page: Page) -> None:
    choose_card(page, "Whisking bowl")
    fields, order_id = page.url, parameter(page.url, r"ord_[a-z2-7]{26}")
    page.goto(f"/orders/{order_id}")
    expect_status(page, "registered")
    page.get_by_role("button", name="Go on to the payment").click()
    page.wait_for_url(fields)
    type_card(page, GOOD_CARD)
    page.wait_for_url("**/thanks?**")

    expect_status(page, "paid")


@pytest.mark.parametrize("here", [True, False], ids=["on the shop's page", "on the provider's page"])
def test_a_customer_joins_the_club(page: Page, here: bool) -> None:
    if here:
        choose_card(page, "Tea club")
        expect(page.locator(".total")).to_contain_text("every month")
        type_card(page, GOOD_CARD)
    else:
        check_out(page, "Tea club")
        pay(page, GOOD_CARD, button="Subscribe")
    page.wait_for_url("**/thanks?**")

    expect_status(page, "active")
    expect(page.locator(".facts")).to_contain_text("€15.00 every month")


def fill_cart(page: Page, product: str) -> None:
    """Put a product into the cart and look at it."""
    page.goto("/")
    page.get_by_role("button", name=f"Add {product} to the cart").click()
    page.get_by_role("link", name="See the cart").click()


def check_out(page: Page, product: str) -> None:
    """Put a product into the cart and go to the hosted page."""
    fill_cart(page, product)
    place(page)
    page.wait_for_url("**/c/pay/**")


def choose_card(page: Page, product: str) -> None:
    """Put a product into the cart and go to the card fields on the shop's own page."""
    fill_cart(page, product)
    page.get_by_role("button", name="Card, right here").click()
    place(page)
    page.wait_for_url("**/pay/ord_*")
    expect(page.get_by_role("button", name="Pay", exact=True)).to_be_enabled()


def place(page: Page, button: str = "Check out") -> None:
    """Press the button, then that of the page that asks for another try, as often as that comes."""
    deadline = time.monotonic() + _PATIENCE_MS / 1000
    while True:
        with page.expect_navigation():
            page.get_by_role("button", name=button).click()
        if not page.url.endswith("/checkout"):
            return
        assert time.monotonic() < deadline, "the shop could not place the order"
        button = "Try again"


def type_card(page: Page, number: str) -> None:
    """Fill in the provider's fields on the shop's page and press the shop's button."""
    page.get_by_label("E-mail").fill("ada@example.org")
    fields = page.frame_locator('iframe[title="Secure card payment input frame"]')
    for label, value in (("Card number", number), ("Expiry (MM / YY)", "12 / 34"), ("CVC", "123")):
        fields.get_by_label(label).fill(value)
    page.get_by_role("button", name="Pay", exact=True).click()


def pay(page: Page, number: str, button: str = "Pay") -> None:
    """Fill in the hosted page's card form and send it."""
    form = page.locator("form[data-method=card]")
    form.get_by_label("E-mail").fill("ada@example.org")
    form.get_by_label("Card number").fill(number)
    form.get_by_label("Expiry").fill("12 / 34")
    form.get_by_label("CVC").fill("123")
    form.get_by_role("button", name=button).click()


def expect_status(page: Page, status: str) -> None:
    """Wait until the shop's page shows a status."""
    expect(page.locator("#progress")).to_have_attribute("data-status", status, timeout=_PATIENCE_MS)


@contextmanager
def held(world: World, name: str) -> Iterator[None]:
    """Keep a process down for as long as the block, and wait until it is ready again."""
    world.supervisor.hold(name)
    try:
        yield
    finally:
        world.supervisor.resume(name)
        world.supervisor.wait_ready(name)


def parameter(text: str, pattern: str) -> str:
    """Return the part of a text that must be there."""
    found = re.search(pattern, text)
    assert found is not None, f"{pattern} is not in {text}"
    return found[0]


def _refusal(message: ConsoleMessage) -> list[str]:
    """Return what a page's content security policy has kept out."""
    return [message.text] if "Content Security Policy" in message.text else []


def _server_error(response: Response) -> list[str]:
    """Return what broke. 503 with the word when to ask again is none: page or customer asks again, and is answered."""
    if response.status == 503 and {"retry-after", "refresh"} & set(response.headers):
        return []
    return [f"{response.status} {response.url}"] if response.status >= 500 else []
