"""/checkout and /return: what a customer's browser may see, and when."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from payonce.domain.order_row import OrderRow
from services.checkout_api.links import Links
from tests.fakes.checkout_api import PAGE, RETURN_SECRET, World, row, terms
from tests.fakes.virtual_clock import START

ORDER_ID = row("created").order_id


def path_of(world: World, page: str = "checkout", order: OrderRow | None = None) -> str:
    """Return the link that was made for the order's own body."""
    known = order or row("created")
    assert known.body_hash is not None
    return f"/{page}/{known.order_id}?t={world.links.token(known.order_id, known.body_hash)}"


async def visit(world: World, path: str) -> httpx.Response:
    answer = await world.get(path, key=None)
    assert answer.headers.get("referrer-policy") == "no-referrer"
    assert answer.headers.get("cache-control") == "no-store"
    return answer


def returned(answer: httpx.Response) -> dict[str, str]:
    """Return the parameters at the shop's URL after checking their signature as a shop would."""
    assert answer.status_code == 303
    found = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    signed = {name: value for name, value in found.items() if name not in {"signature", "basket"}}
    assert sorted(signed) == ["amount", "currency", "payment_order_id", "reference", "status", "time"]
    lines = "\n".join(f"{name}={signed[name]}" for name in sorted(signed))
    expected = hmac.new(RETURN_SECRET.encode(), lines.encode(), hashlib.sha256).hexdigest()
    assert hmac.compare_digest(found["signature"], expected)
    return found


async def test_the_page_is_shown_once_the_token_is_stored() -> None:
    world = World()
    world.orders.put(row("registered"))

    answer = await visit(world, path_of(world))

    assert answer.status_code == 303
    assert answer.headers["location"] == PAGE


async def test_a_customer_who_comes_early_is_held_and_then_sent_on() -> None:
    world = World()
    world.clock.later(3.5, lambda: world.orders.put(row("registered")))

    answer = await visit(world, path_of(world))

    assert answer.headers["location"] == PAGE
    assert world.clock.now() - START < 4.5


@pytest.mark.parametrize(
    "order",
    [
        None,
        row("created"),
        replace(row("registered"), psp_token=None),
        replace(row("registered"), body_hash=None),
        replace(row("created"), psp_token="cs_1", hosted_page_url=PAGE),
    ],
)
async def test_the_page_is_never_shown_before_the_token_is_stored(order: OrderRow | None) -> None:
    """The PSP may have the session already: as long as the row does not say so, nobody gets there."""
    world = World()
    if order is not None:
        world.orders.put(order)

    answer = await visit(world, path_of(world))

    assert PAGE not in answer.text
    assert PAGE not in str(answer.headers)


async def test_the_waiting_page_comes_back_by_itself_and_remembers_since_when() -> None:
    world = World()

    answer = await visit(world, path_of(world))

    assert answer.status_code == 200
    assert answer.headers["refresh"] == f"2; url={path_of(world)}&since={int(START)}"
    assert "src=" not in answer.text
    assert "<script" not in answer.text


async def test_after_five_minutes_it_names_the_order_and_offers_a_button() -> None:
    world = World()
    world.orders.put(row("created"))

    answer = await visit(world, f"{path_of(world)}&since={int(START) - 300}")

    assert answer.status_code == 200
    assert "refresh" not in answer.headers
    assert "A-1" in answer.text
    assert f'href="{path_of(world)}"' in answer.text


@pytest.mark.parametrize("since", ["99999999999", "-5", "x", "1" * 50, "%0d%0aX:1"])
async def test_a_tampered_since_changes_nothing_but_that_page(since: str) -> None:
    world = World()

    answer = await visit(world, f"{path_of(world)}&since={since}")

    assert answer.headers["refresh"].endswith(f"&since={int(START)}")


async def test_the_link_of_another_body_opens_nothing() -> None:
    """Two bodies under one reference were both accepted: only the first one's link works."""
    world = World()
    world.orders.put(row("registered"))
    other = row("registered", terms(amount=99))

    answer = await visit(world, path_of(world, order=other))

    assert answer.status_code == 404
    assert PAGE not in answer.text
    assert "location" not in answer.headers


@pytest.mark.parametrize("page", ["checkout", "return"])
@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 5000, "%0d%0aLocation:x", "é" * 43])
async def test_a_wrong_token_opens_nothing(page: str, token: str) -> None:
    world = World()
    world.orders.put(row("paid"))

    answer = await visit(world, f"/{page}/{ORDER_ID}?t={token}")

    assert answer.status_code == 404
    assert "location" not in answer.headers


async def test_links_made_with_the_secret_before_the_rotation_still_open() -> None:
    world = World()
    world.orders.put(row("registered"))
    before = Links("https://pay.example", (b"old-link-secret",))
    gone = Links("https://pay.example", (b"older-link-secret",))
    body_hash = row("registered").body_hash or ""

    assert (await visit(world, f"/checkout/{ORDER_ID}?t={before.token(ORDER_ID, body_hash)}")).status_code == 303
    assert (await visit(world, f"/checkout/{ORDER_ID}?t={gone.token(ORDER_ID, body_hash)}")).status_code == 404


@pytest.mark.parametrize("status", ["paid", "processing", "expired", "failed", "registration_failed", "cancelled"])
async def test_every_other_status_goes_back_to_the_shop_signed(status: str) -> None:
    world = World()
    world.orders.put(row(status))

    found = returned(await visit(world, path_of(world)))

    assert found["status"] == status
    assert found["basket"] == "7"


async def test_a_page_past_its_time_sends_the_customer_back_without_claiming_an_outcome() -> None:
    world = World()
    world.orders.put(row("registered", page_expires_at=int(START) - 1))

    assert returned(await visit(world, path_of(world)))["status"] == "pending"


@pytest.mark.parametrize("page", ["checkout", "return"])
async def test_postgresql_away_is_a_waiting_page_with_503(page: str) -> None:
    world = World()
    world.orders.healthy = False

    answer = await visit(world, path_of(world, page))

    assert answer.status_code == 503
    assert answer.headers["refresh"].startswith("2; url=/")
    assert "retry-after" in answer.headers


async def test_the_shop_gets_what_was_paid_with_a_signature() -> None:
    world = World()
    world.orders.put(row("paid"))

    answer = await visit(world, path_of(world, "return"))

    assert answer.headers["location"].startswith("https://shop.example/thanks?basket=7&payment_order_id=ord_")
    assert returned(answer) == {
        "basket": "7",
        "payment_order_id": ORDER_ID,
        "reference": "A-1",
        "status": "paid",
        "amount": "1050",
        "currency": "eur",
        "time": str(int(START)),
        "signature": returned(answer)["signature"],
    }


async def test_references_of_any_script_survive_the_way_back() -> None:
    world = World()
    order = row("paid", terms(reference="Überweisung & Co=1"))
    world.orders.put(order)

    assert returned(await visit(world, path_of(world, "return", order)))["reference"] == "Überweisung & Co=1"


async def test_a_return_before_the_webhook_waits_for_it() -> None:
    world = World()
    world.orders.put(row("registered"))
    world.clock.later(2, lambda: world.orders.put(row("paid")))

    assert returned(await visit(world, path_of(world, "return")))["status"] == "paid"


async def test_a_return_whose_webhook_does_not_come_in_three_seconds_is_pending() -> None:
    """The redirect is never proof of payment."""
    world = World()
    world.orders.put(row("registered"))

    found = returned(await visit(world, path_of(world, "return")))

    assert found["status"] == "pending"
    assert world.clock.now() - START == 3


async def test_who_leaves_without_paying_is_not_held() -> None:
    world = World()
    world.orders.put(row("registered"))

    found = returned(await visit(world, path_of(world, "return") + "&via=cancel"))

    assert found["status"] == "registered"
    assert world.clock.now() == START


async def test_a_return_to_an_order_nobody_knows_yet_waits_on_a_page() -> None:
    world = World()

    answer = await visit(world, path_of(world, "return") + "&via=cancel")

    assert answer.status_code == 200
    assert "&via=cancel&since=" in answer.headers["refresh"]


async def test_the_customer_of_a_shop_that_has_left_gets_a_page() -> None:
    world = World()
    order = row("paid", terms("gone"))
    world.orders.put(order)

    answer = await visit(world, path_of(world, "return", order))

    assert answer.status_code == 200
    assert "paid" in answer.text
    assert "location" not in answer.headers


async def test_pages_do_not_repeat_what_a_stranger_wrote() -> None:
    world = World()
    order = row("created", terms(reference="<script>alert(1)</script>"))
    world.orders.put(order)

    answer = await visit(world, f"{path_of(world, order=order)}&since=0")

    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text
