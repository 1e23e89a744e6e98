"""The examples, run as their READMEs say: the fenced block is what a shell executes, with nothing of ours near."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import httpx
import pytest

from payonce.catalog import SCHEMAS
from tests.end_to_end.shop import DEADLINE_SECONDS, Shop, body_of, eventually

pytestmark = pytest.mark.stack
EXAMPLES = SCHEMAS.parent / "examples"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(shop: Shop, tmp_path: Path) -> Path:
    """What a reader of the READMEs has before them: the examples, and the world's variables in world.sh."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    (tmp_path / "world.sh").write_text(shop.addresses.as_shell())
    return tmp_path


def command_of(example: str) -> list[str]:
    """The README's command; the last line takes the shell's place, so that ending the shell ends it."""
    (block,) = BLOCK.findall((EXAMPLES / example / "README.md").read_text())
    lines: list[str] = block.strip().splitlines()
    return ["sh", "-euc", "\n".join([*lines[:-1], f"exec {lines[-1]}"])]


def environment() -> dict[str, str]:
    """An environment in which `python` is this one, and which knows no way to our packages."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def example_shop(shop: Shop, folder: Path) -> Iterator[httpx.Client]:
    """Run the shop until the block ends; what it said is shown if it dies."""
    log = folder / "shop.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command_of("shop"), cwd=folder, env=environment(), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            with httpx.Client(base_url=shop.addresses.own_shop_url, timeout=30) as browser:
                eventually(lambda: answers(browser, process, log), "the example shop answers")
                yield browser
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_SECONDS)


def answers(browser: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, f"the example shop ended:\n{log.read_text()}"
    try:
        return browser.get("/").status_code == 200
    except httpx.TransportError:
        return False


def action_of(page: httpx.Response) -> str:
    """Where the page's form leads."""
    match = re.search(r'action="([^"]+)"', page.text)
    assert match, page.text
    return match[1]


def hosted_page(browser: httpx.Client, checkout_url: str) -> httpx.Response:
    """The PSP's page, once the waiting page leads there."""

    def check() -> httpx.Response | None:
        answer = browser.get(checkout_url)
        return browser.get(answer.headers["location"]) if answer.status_code == 303 else None

    return eventually(check, "the checkout link leads to the hosted page")


def pay_by_card(browser: httpx.Client, page: httpx.Response) -> httpx.Response:
    """Fill in the PSP's form; return what its page and payonce lead the customer to: the shop's own page."""
    match = re.search(r'name="confirmation" value="([^"]*)"', page.text)
    assert match, page.text
    card = {"number": "4242424242424242", "expiry": "12 / 34", "cvc": "123"}
    form = {"method": "card", "email": "customer@example.com", **card, "confirmation": match[1]}
    return browser.post(str(page.url), data=form, follow_redirects=True)


def next_status(lines: Iterator[str]) -> str:
    """The next status that the shop's stream tells its page."""
    for line in lines:
        if line.startswith("data: "):
            return str(json.loads(line.removeprefix("data: "))["status"])
    raise AssertionError("the stream ended")


def wait_for(lines: Iterator[str], status: str) -> list[str]:
    """The statuses up to this one; the stream's own read timeout is the deadline."""
    seen = [next_status(lines)]
    while seen[-1] != status:
        seen.append(next_status(lines))
    return seen


def test_the_shop_sells_shows_the_way_back_and_follows_the_order(shop: Shop, folder: Path) -> None:
    with example_shop(shop, folder) as browser:
        form = action_of(browser.get("/"))
        first, again = browser.post(form), browser.post(form)
        assert (first.status_code, again.status_code) == (303, 303)
        assert first.headers["location"] == again.headers["location"], "pressed twice, it is one order"

        back = pay_by_card(browser, hosted_page(browser, first.headers["location"]))

        assert (back.status_code, back.url.path) == (200, "/thanks")
        order_id = back.url.params["payment_order_id"]
        assert back.url.params["reference"] in back.text
        with browser.stream("GET", f"/orders/{order_id}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            assert wait_for(lines, "paid")[-1] == "paid"
            refund = shop.command(order_id, "refunds", {"refund_reference": "back-1", "amount": 990})
            assert refund.status_code == 202, refund.text
            assert wait_for(lines, "partially_refunded")[-1] == "partially_refunded"


def test_the_shop_believes_no_address_that_payonce_did_not_sign(shop: Shop, folder: Path) -> None:
    with example_shop(shop, folder) as browser:
        form = action_of(browser.get("/"))
        page = hosted_page(browser, browser.post(form).headers["location"])
        query = pay_by_card(browser, page).url.params

        assert browser.get("/thanks", params=query).status_code == 200
        assert browser.get("/thanks", params=query.set("amount", "1")).status_code == 400
        assert browser.get("/thanks", params=query.remove("signature")).status_code == 400
        assert browser.get("/thanks", params=query.add("status", "paid")).status_code == 400


def test_the_shop_offers_the_same_order_again_while_payonce_does_not_answer(shop: Shop, folder: Path) -> None:
    world_file = folder / "world.sh"
    away = urlsplit(shop.addresses.own_shop_url)._replace(netloc="127.0.0.1:1").geturl()
    world_file.write_text(f"{world_file.read_text()}\nexport API={away}")

    with example_shop(shop, folder) as browser:
        form = action_of(browser.get("/"))
        answer = browser.post(form)

    assert (answer.status_code, action_of(answer)) == (503, form)


def run_analytics(folder: Path) -> str:
    """What it prints when it has read to the end of the topic."""
    done = subprocess.run(
        command_of("analytics"), cwd=folder, env=environment(), timeout=120, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def announced(shop: Shop) -> dict[str, dict[str, Any]]:
    """The newest announcement of each order, read by other means."""
    newest: dict[str, dict[str, Any]] = {}
    for record in shop.records("payments.status"):
        order = body_of(record)
        if order["version"] > newest.get(order["order_id"], {"version": 0})["version"]:
            newest[order["order_id"]] = order
    return newest


def expected_rates(orders: dict[str, dict[str, Any]]) -> set[str]:
    """The ends of the refund and conversion lines that these orders must give."""
    lines = set()
    for currency in {order["currency"] for order in orders.values() if order["amount_paid"]}:
        received = [order for order in orders.values() if order["currency"] == currency and order["amount_paid"]]
        paid = sum(order["amount_paid"] for order in received)
        back = sum(order["amount_refunded"] for order in received)
        lines.add(f"({back} of {paid})")
    for method in {order["payment_method"] for order in orders.values()}:
        placed = [order for order in orders.values() if order["payment_method"] == method]
        paid = sum(order["amount_paid"] > 0 or order["payment_order_status"] == "active" for order in placed)
        lines.add(f"({paid} of {len(placed)} orders)")
    return lines


def net_by_hour(report: str) -> Counter[str]:
    """Each currency's revenue over all hours, from the report's lines."""
    sums: Counter[str] = Counter()
    for currency, net in re.findall(r"^  \S+ \d\d:00  (\w{3}) +(-?\d+) ", report, re.MULTILINE):
        sums[currency] += int(net)
    return sums


def expected_net(orders: dict[str, dict[str, Any]]) -> Counter[str]:
    """The same from the newest announcement of each order: a Counter takes a missing currency for zero."""
    sums: Counter[str] = Counter()
    for order in orders.values():
        sums[order["currency"]] += order["amount_paid"] - order["amount_refunded"]
    return sums


def test_analytics_sums_up_what_the_topic_says_and_reads_on_where_it_stopped(shop: Shop, folder: Path) -> None:
    """The report equals sums made by other means, after the first run and after what happened between the two."""
    paid, open_one = shop.registered(), shop.registered()
    shop.pay(paid)
    shop.wait_for_status(paid["id"], "paid")

    agrees(shop, folder, paid["id"], open_one["id"])
    rows_before = rows_of(folder, paid["id"])
    shop.command(paid["id"], "refunds", {"refund_reference": "back-1", "amount": 990})
    shop.wait_for_status(paid["id"], "partially_refunded")
    agrees(shop, folder, paid["id"], open_one["id"])

    assert rows_of(folder, paid["id"])[: len(rows_before)] == rows_before
    assert rows_of(folder, paid["id"])[-1] == ("partially_refunded", 4_990, 990)
    assert rows_of(folder, open_one["id"])[-1] == ("registered", 0, 0)


def agrees(shop: Shop, folder: Path, *order_ids: str) -> None:
    """Announcements may lag behind the tables a little: it reads again until the topic has these orders' statuses."""

    def check() -> bool:
        before = announced(shop)
        report = run_analytics(folder)
        return (
            announced(shop) == before
            and all(before[name]["payment_order_status"] == shop.order(name)["status"] for name in order_ids)
            and all(line in report for line in expected_rates(before))
            and net_by_hour(report) == expected_net(before)
        )

    assert eventually(check, "the report says what the topic says")


def rows_of(folder: Path, order_id: str) -> list[tuple[str, int, int]]:
    table = duckdb.connect(folder / "payments.duckdb", read_only=True)
    try:
        return table.execute(
            "SELECT status, paid, refunded FROM order_version WHERE order_id = ? ORDER BY version", (order_id,)
        ).fetchall()
    finally:
        table.close()
