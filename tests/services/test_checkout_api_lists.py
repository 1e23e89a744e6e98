"""Lists of orders and the timeline of one: filters, pages, and nothing of anybody else's."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.terms import order_id_of
from payonce.domain.whole_order import TimelineLine
from tests.fakes.checkout_api import OTHER_KEY, World, row, terms
from tests.fakes.order_messages import commanded, issued, session_paid

PATH = "/v1/payment-orders"
ORDER_ID = order_id_of("shop", "A-1")


def stocked() -> World:
    """Nine orders: seven of ours, every other one paid, two made in the same second; two of another client."""
    world = World()
    for number in range(7):
        status = "paid" if number % 2 else "registered"
        world.orders.put(row(status, terms(reference=f"A-{number}"), created_at=1_790_000_000 + number // 2))
    for number in range(2):
        world.orders.put(row("paid", terms("other", reference=f"B-{number}")))
    return world


async def references(world: World, query: str, *, key: str | None = None) -> list[str]:
    answer = await (world.get(f"{PATH}?{query}", key=key) if key else world.get(f"{PATH}?{query}"))
    assert answer.status_code == 200, answer.text
    return [order["reference"] for order in answer.json()["data"]]


async def test_pages_show_every_order_once_newest_first() -> None:
    world = stocked()
    seen: list[str] = []
    cursor, pages = "", 0

    while True:
        page = (await world.get(f"{PATH}?limit=2{cursor}")).json()
        seen += [order["reference"] for order in page["data"]]
        pages += 1
        if not page["has_more"]:
            break
        # What comes in meanwhile is newer than everything shown, and moves nothing.
        world.orders.put(row("created", terms(reference=f"new-{pages}"), created_at=1_790_001_000))
        cursor = f"&starting_after={page['data'][-1]['id']}"

    assert pages == 4
    assert sorted(seen) == [f"A-{number}" for number in range(7)]
    made = [world.orders.rows[order_id_of("shop", reference)].created_at for reference in seen]
    assert made == sorted(made, reverse=True)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=paid", {"A-1", "A-3", "A-5"}),
        ("status=refunded", set()),
        ("reference=A-4", {"A-4"}),
        ("reference=A-4&status=paid", set()),
        ("created_from=1790000003", {"A-6"}),
        ("created_until=1790000001", {"A-0", "A-1"}),
        ("created_from=1790000001&created_until=1790000002&status=registered", {"A-2"}),
        ("", {f"A-{number}" for number in range(7)}),
    ],
)
async def test_filters_narrow_the_list_together(query: str, found: set[str]) -> None:
    assert set(await references(stocked(), query)) == found


@pytest.mark.parametrize(
    "query", ["state=paid", "referense=A-1", "status=paid&limits=2", "status=paid&status%5B%5D=x", "Status=paid", "=x"]
)
@pytest.mark.parametrize("path", [PATH, f"{PATH}/{ORDER_ID}/timeline"], ids=["orders", "timeline"])
async def test_a_misspelt_filter_is_refused(path: str, query: str) -> None:
    """Without it the list would be another one: every order of the client in place of the one that was looked for."""
    world = World()
    world.archive.fold(commanded())

    answer = await world.get(f"{path}?{query}")

    assert answer.status_code == 422, answer.text
    assert any("not permitted" in error["detail"] for error in answer.json()["errors"])


async def test_a_list_shows_whole_orders() -> None:
    world = World()
    world.archive.fold(commanded(), issued(), session_paid())

    listed = (await world.get(PATH)).json()["data"]

    assert listed == [(await world.get(f"{PATH}/{ORDER_ID}")).json()]
    assert listed[0]["payments"][0]["payment"] == "pi_1"


async def test_each_client_has_a_list_of_its_own() -> None:
    world = stocked()

    assert await references(world, "", key=OTHER_KEY) == await references(world, "limit=100", key=OTHER_KEY)
    assert set(await references(world, "", key=OTHER_KEY)) == {"B-0", "B-1"}


async def test_another_clients_order_is_no_cursor() -> None:
    world = stocked()

    answer = await world.get(f"{PATH}?starting_after={order_id_of('other', 'B-0')}")

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["starting_after"]


@pytest.mark.parametrize("away", ["known to be away", "does not answer"])
@pytest.mark.parametrize("path", [PATH, f"{PATH}/{ORDER_ID}/timeline"])
async def test_postgresql_away_is_503(path: str, away: str) -> None:
    world = stocked()
    world.orders.healthy = away != "known to be away"
    world.orders.answers = False

    assert (await world.get(path)).status_code == 503


def lined() -> World:
    world = World()
    world.orders.put(row("paid"))
    lines = [(f"evt_{number}", f"kind.{number}") for number in range(5)]
    world.archive.lines[ORDER_ID] = [
        TimelineLine(name, kind, 1_790_000_000 + number, 1_790_000_009, "applied", None)
        for number, (name, kind) in enumerate(lines)
    ]
    ignored = TimelineLine("evt_5", "charge.failed", 1_790_000_006, 1_790_000_010, "ignored", "an attempt log")
    twin = TimelineLine("evt_6", "charge.refunded", 1_790_000_007, 1_790_000_010, "no_change", None)
    world.archive.lines[ORDER_ID] += [ignored, twin]
    return world


async def test_the_timeline_says_what_each_event_did_and_why_it_did_nothing() -> None:
    answer = await lined().get(f"{PATH}/{ORDER_ID}/timeline")

    lines = answer.json()["data"]
    assert [line["id"] for line in lines] == [f"evt_{number}" for number in range(7)]
    assert [line["reason"] for line in lines[:5]] == [None] * 5
    assert lines[-1]["reason"] == "its facts were known already"
    assert lines[-2] == {
        "id": "evt_5",
        "type": "charge.failed",
        "occurred_at": 1_790_000_006,
        "recorded_at": 1_790_000_010,
        "effect": "ignored",
        "reason": "an attempt log",
    }
    assert answer.json()["has_more"] is False


async def test_the_timeline_comes_in_pages() -> None:
    world, seen, cursor = lined(), list[Any](), ""

    while True:
        page = (await world.get(f"{PATH}/{ORDER_ID}/timeline?limit=4{cursor}")).json()
        seen.append([line["id"] for line in page["data"]])
        if not page["has_more"]:
            break
        cursor = f"&starting_after={page['data'][-1]['id']}"

    assert seen == [["evt_0", "evt_1", "evt_2", "evt_3"], ["evt_4", "evt_5", "evt_6"]]


async def test_a_timeline_cannot_go_on_after_an_event_that_is_not_the_orders() -> None:
    world = lined()

    for cursor in ("evt_unknown", "%00", "x" * 255):
        answer = await world.get(f"{PATH}/{ORDER_ID}/timeline?starting_after={cursor}")
        assert answer.status_code == 422


async def test_the_timeline_of_an_order_that_is_unknown_or_another_clients_is_404() -> None:
    world = lined()

    assert (await world.get(f"{PATH}/{ORDER_ID}/timeline", key=OTHER_KEY)).status_code == 404
    assert (await world.get(f"{PATH}/{order_id_of('shop', 'none')}/timeline")).status_code == 404
