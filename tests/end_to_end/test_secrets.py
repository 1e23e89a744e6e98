"""What nobody may read in a log line, a metric or the public topic, looked for after everything that could say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.end_to_end.shop import Shop, eventually, session_id

pytestmark = pytest.mark.stack
CARD, EMAIL = "4000000000000002", "very.private@example.com"
SERVICES = ("checkout_api", "psp_worker", "status_processor", "reconciler", "ops_console")


def a_life(shop: Shop) -> list[str]:
    """Let an order live, with refusals and troubles on the way; return what only its customer and its shop may know."""
    order = shop.registered(customer_email=EMAIL)
    shop.control("POST", f"/sessions/{session_id(order)}/decline", {"card": CARD})
    shop.send_webhook(b"{}", secret="whsec_wrong")
    shop.post(shop.body(amount=-1))
    shop.control(
        "POST", "/faults", {"rules": [{"kind": "html_502", "operation": "checkout.sessions.create", "times": 3}]}
    )
    other = shop.registered()
    shop.world.supervisor.kill("psp_worker")
    shop.pay(order)
    shop.wait_for_status(order["id"], "paid")
    assert shop.command(order["id"], "refunds", {"refund_reference": "R-1"}).status_code == 202
    shop.wait_for_status(order["id"], "refunded")
    assert shop.command(other["id"], "cancel", wait=20).status_code == 200
    checkout = parse_qs(urlsplit(order["checkout_url"]).query)["t"][0]
    pages = [urlsplit(each["hosted_page_url"]).path for each in (order, other)]
    return [*pages, checkout, EMAIL, CARD]


def places(shop: Shop) -> Iterator[tuple[str, str]]:
    """Everything that others than the owner may read, and what it says."""
    logs = Path(shop.addresses.log_folder)
    for service in SERVICES:
        for path in logs.glob(f"{service}*"):
            yield path.name, path.read_text(errors="replace")
    for name, url in shop.addresses.health_urls.items():
        yield f"{name}/metrics", httpx.get(f"{url}/metrics", timeout=10).text
    for message in shop.records("payments.status"):
        yield "payments.status", f"{message.key()!r} {message.value()!r} {message.headers()!r}"


def test_no_secret_no_payment_link_and_nobodys_data_in_logs_metrics_and_the_public_topic(shop: Shop) -> None:
    secrets = [*a_life(shop), *(value for value in asdict(shop.world.credentials).values() if isinstance(value, str))]
    assert min(map(len, secrets)) >= 8, "what is shorter would be found by chance"
    eventually(lambda: not shop.rows("SELECT 1 FROM outbox"), "all is announced")

    seen = list(places(shop))

    assert {name.split("/")[0].split(".")[0] for name, _ in seen} >= set(SERVICES), "each of them has said something"
    assert [(name, secret) for name, said in seen for secret in secrets if secret in said] == []
