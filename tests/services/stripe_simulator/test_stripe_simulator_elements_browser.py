"""A shop's page with card fields in a real browser: the stand-in for Stripe's script does what a page expects of it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox.stripe_simulator.server import SimulatorServer
from tests.services.stripe_simulator.conftest import order

_FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not _FOUND and os.environ.get("PAYONCE_REQUIRE_BROWSER") != "1", reason="no Chromium on this machine"
    ),
]
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_PATIENCE_MS = 60_000
_GOOD, _DECLINED, _SECURE = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000 0025 0000 3155"
# Everything a shop writes for itself.
_SHOP = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title></head><body>
<p id="total"></p><div id="card"></div><button id="pay">Pay</button><p id="message" role="alert"></p>
<script src="{simulator}/js/stripe.js"></script>
<script>
const checkout = Stripe("pk_test_x").initCheckoutElementsSdk({{ clientSecret: Promise.resolve("{secret}") }});
const card = checkout.createPaymentElement();
card.mount("#card");
checkout.loadActions().then(({{ type, actions, error }}) => {{
  const message = document.getElementById("message");
  if (type === "error") {{ message.textContent = error.message; return; }}
  document.getElementById("total").textContent = actions.getSession().total.total.amount;
  document.getElementById("pay").onclick = async () => {{
    const result = await actions.confirm({{ email: "jenny@example.com" }});
    if (result.type === "error") message.textContent = result.error.message;
  }};
}});
</script></body></html>"""


class Shop:
    """A shop whose pages are the card page, /?secret=..., and the return page; it remembers what it was sent."""

    def __init__(self, simulator: str) -> None:
        requests: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                secret = parse_qs(urlsplit(self.path).query).get("secret", [""])[0]
                text = _SHOP.format(simulator=simulator, secret=secret) if self.path.startswith("/?") else "<p>Thanks"
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

            def do_POST(self) -> None:
                requests.append(self.path)
                self.send_error(405)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        self.requests = requests
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture(name="shop")
def _shop(simulator: SimulatorServer) -> Iterator[Shop]:
    shop = Shop(simulator.url)
    thread = threading.Thread(target=shop.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield shop
    shop.server.shutdown()
    thread.join()
    shop.server.server_close()


@pytest.fixture(name="chromium", scope="module")
def _chromium() -> Iterator[Browser]:
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_FOUND, args=_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(name="page")
def _page(chromium: Browser) -> Iterator[Page]:
    """A customer's tab; an error of a script fails the test."""
    context = chromium.new_context()
    context.set_default_timeout(_PATIENCE_MS)
    tab, errors = context.new_page(), list[str]()
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    context.close()
    assert errors == []


def opened(client: stripe.StripeClient, shop: Shop, page: Page) -> str:
    """Open the shop's page for a new order; returns the session's id."""
    return_url = f"{shop.url}/return?sid={{CHECKOUT_SESSION_ID}}"
    changes = {"ui_mode": "elements", "return_url": return_url, "success_url": None, "cancel_url": None}
    session = client.v1.checkout.sessions.create(order(**changes))
    page.goto(f"{shop.url}/?secret={session.client_secret}")
    expect(page.locator("#total")).to_have_text("€25.00")
    return session.id


def pay(page: Page, number: str) -> None:
    fields = page.frame_locator('iframe[title="Secure card payment input frame"]')
    for label, value in (("Card number", number), ("Expiry (MM / YY)", "12 / 34"), ("CVC", "123")):
        fields.get_by_label(label).fill(value)
    page.get_by_role("button", name="Pay").click()


def test_a_card_pays_on_the_shops_page(
    client: stripe.StripeClient, simulator: SimulatorServer, shop: Shop, page: Page
) -> None:
    """The customer comes back to the return URL, and no card number reaches the shop."""
    session_id = opened(client, shop, page)
    pay(page, _GOOD)
    page.wait_for_url(f"**/return?sid={session_id}")

    assert client.v1.checkout.sessions.retrieve(session_id).payment_status == "paid"
    assert not any("4242" in path for path in shop.requests)
    assert page.url.startswith(shop.url)


def test_a_decline_is_told_and_the_next_card_pays(client: stripe.StripeClient, shop: Shop, page: Page) -> None:
    session_id = opened(client, shop, page)
    pay(page, _DECLINED)
    expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
    pay(page, _GOOD)

    page.wait_for_url(f"**/return?sid={session_id}")


@pytest.mark.parametrize("passes", [True, False])
def test_the_bank_asks_over_the_shops_page(client: stripe.StripeClient, shop: Shop, page: Page, passes: bool) -> None:
    session_id = opened(client, shop, page)
    pay(page, _SECURE)
    bank = page.frame_locator('iframe[title="Authentication by your bank"]')
    bank.get_by_role("button", name="Complete authentication" if passes else "Fail authentication").click()

    if passes:
        page.wait_for_url(f"**/return?sid={session_id}")
    else:
        expect(page.get_by_role("alert")).to_contain_text("has failed authentication")
    assert client.v1.checkout.sessions.retrieve(session_id).status == ("complete" if passes else "open")


def test_the_frame_is_as_high_as_its_fields(client: stripe.StripeClient, shop: Shop, page: Page) -> None:
    opened(client, shop, page)
    frame = page.locator('iframe[title="Secure card payment input frame"]')
    fields = frame.content_frame.locator("body")
    needed = fields.evaluate("body => Math.ceil(body.getBoundingClientRect().height)")

    expect(frame).to_have_css("height", f"{needed}px")
    assert 100 < needed < 256, "its first height, 16 rem, is a guess that it must not keep"


def test_an_unknown_secret_is_told_by_load_actions(shop: Shop, page: Page) -> None:
    page.goto(f"{shop.url}/?secret=cs_test_none_secret_x")

    expect(page.get_by_role("alert")).to_contain_text("does not belong to a Checkout Session")
