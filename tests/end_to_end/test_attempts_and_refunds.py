"""What a shop does with an order after the first attempt: another one, an end of it, money back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.end_to_end.shop import Shop, eventually, session_id

pytestmark = pytest.mark.stack


def kind(answer: httpx.Response) -> tuple[int, str]:
    """Status and kind of a problem."""
    return answer.status_code, str(answer.json()["type"]).rpartition(":")[2]


def paid_order(shop: Shop, **how: Any) -> str:
    """The id of an order that is paid."""
    order = shop.registered()
    shop.pay(order, **how)
    shop.wait_for_status(order["id"], "paid")
    return str(order["id"])


def wait_for_refund(shop: Shop, order_id: str, reference: str, status: str) -> dict[str, Any]:
    def check() -> dict[str, Any] | None:
        refunds = shop.read(f"/{order_id}/refunds")["data"]
        return next(
            (each for each in refunds if (each["refund_reference"], each["status"]) == (reference, status)), None
        )

    return eventually(check, f"{reference} is {status}")


def test_a_new_attempt_after_the_first_has_expired_is_paid(shop: Shop) -> None:
    first = shop.registered()
    too_early = shop.command(first["id"], "attempts", {"attempt": 2})
    shop.control("POST", f"/sessions/{session_id(first)}/expire", {})
    shop.wait_for_status(first["id"], "expired")

    answer = shop.command(first["id"], "attempts", {"attempt": 2}, wait=20)
    again = shop.command(first["id"], "attempts", {"attempt": 2})

    assert kind(too_early) == (409, "attempt_open")
    assert answer.status_code == 201, answer.text
    second = answer.json()
    assert (second["attempt"], second["checkout_url"]) == (2, first["checkout_url"])
    assert session_id(second) != session_id(first)
    assert again.json()["hosted_page_url"] == second["hosted_page_url"]
    assert shop.get(first["checkout_url"]).headers["location"] == second["hosted_page_url"]
    shop.pay(second)
    paid = shop.wait_for_status(first["id"], "paid")
    assert [(each["attempt"], each["status"]) for each in paid["attempts"]] == [(1, "expired"), (2, "paid")]
    assert (paid["amount_paid"], shop.sessions_of(first["id"])) == (4_990, 2)
    assert kind(shop.command(first["id"], "attempts", {"attempt": 3})) == (409, "order_used")


def test_what_is_cancelled_cannot_be_paid_any_more(shop: Shop) -> None:
    order = shop.registered()

    answer = shop.command(order["id"], "cancel", wait=20)
    again = shop.command(order["id"], "cancel")

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled"), answer.text
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    assert answer.json()["hosted_page_url"] is None
    assert shop.open_sessions_of(order["id"]) == 0
    shop.wait_for_status(order["id"], "cancelled")


def test_after_a_cancellation_another_attempt_may_follow(shop: Shop) -> None:
    order = shop.registered()
    assert shop.command(order["id"], "cancel", wait=20).status_code == 200

    answer = shop.command(order["id"], "attempts", {"attempt": 2}, wait=20)

    assert answer.status_code == 201, answer.text
    assert shop.open_sessions_of(order["id"]) == 1
    shop.pay(answer.json())
    shop.wait_for_status(order["id"], "paid")


def test_what_is_paid_is_not_cancelled(shop: Shop) -> None:
    order_id = paid_order(shop)

    assert kind(shop.command(order_id, "cancel")) == (409, "order_used")
    assert shop.order(order_id)["status"] == "paid"


def test_a_part_and_then_the_rest_is_refunded(shop: Shop) -> None:
    order_id = paid_order(shop)

    part = shop.command(order_id, "refunds", {"refund_reference": "R-1", "amount": 990})
    assert (part.status_code, part.json()["status"]) == (202, "pending"), part.text
    partly = shop.wait_for_status(order_id, "partially_refunded")
    assert (partly["amount_refunded"], partly["payments"][0]["amount_refundable"]) == (990, 4_000)
    rest = shop.command(order_id, "refunds", {"refund_reference": "R-2"})

    assert (rest.status_code, rest.json()["amount"]) == (202, 4_000), rest.text
    whole = shop.wait_for_status(order_id, "refunded")
    assert whole["amount_refunded"] == 4_990
    wait_for_refund(shop, order_id, "R-1", "succeeded")
    wait_for_refund(shop, order_id, "R-2", "succeeded")
    stats = shop.control("GET", "/stats")["refunds_per_reference"]
    assert (stats[f"{order_id}/R-1"], stats[f"{order_id}/R-2"]) == (1, 1)


def test_the_same_refund_twice_moves_money_once(shop: Shop) -> None:
    order_id = paid_order(shop)
    body = {"refund_reference": "R-1", "amount": 990}

    answers = [shop.command(order_id, "refunds", body) for _ in range(3)]
    wait_for_refund(shop, order_id, "R-1", "succeeded")
    late = shop.command(order_id, "refunds", body)
    other = shop.command(order_id, "refunds", {**body, "amount": 991})

    assert {answer.status_code for answer in answers} <= {200, 202}
    assert (late.status_code, late.json()["status"]) == (200, "succeeded")
    assert kind(other) == (409, "refund_reference_conflict")
    assert shop.control("GET", "/stats")["refunds_per_reference"][f"{order_id}/R-1"] == 1
    assert shop.order(order_id)["amount_refunded"] == 990


def test_more_than_was_paid_is_not_refunded(shop: Shop) -> None:
    order_id = paid_order(shop)
    part = shop.command(order_id, "refunds", {"refund_reference": "R-1", "amount": 4_000})
    assert part.status_code == 202
    wait_for_refund(shop, order_id, "R-1", "succeeded")

    answer = shop.command(order_id, "refunds", {"refund_reference": "R-2", "amount": 1_000})

    assert kind(answer) == (409, "amount_too_large")
    assert "990 eur" in answer.json()["detail"]
    assert shop.order(order_id)["amount_refunded"] == 4_000


def test_two_refunds_at_once_never_send_back_more_than_was_paid(shop: Shop) -> None:
    """Both may pass here, before either is known; then the PSP refuses the second, and that is told."""
    order_id = paid_order(shop)

    for reference in ("R-1", "R-2"):
        shop.command(order_id, "refunds", {"refund_reference": reference, "amount": 3_000})

    wait_for_refund(shop, order_id, "R-1", "succeeded")

    def second_is_refused() -> bool:
        refunds = {each["refund_reference"]: each for each in shop.read(f"/{order_id}/refunds")["data"]}
        # Not there: it was refused here, because the first was known already.
        return "R-2" not in refunds or refunds["R-2"]["failure_reason"] == "amount_too_large"

    eventually(second_is_refused, "the second is refused")
    assert shop.wait_for_status(order_id, "partially_refunded")["amount_refunded"] == 3_000


def test_a_refund_that_fails_later_makes_the_order_paid_again(shop: Shop) -> None:
    order_id = paid_order(shop)
    assert shop.command(order_id, "refunds", {"refund_reference": "R-1"}).status_code == 202
    shop.wait_for_status(order_id, "refunded")
    refund = wait_for_refund(shop, order_id, "R-1", "succeeded")

    shop.control("POST", f"/refunds/{refund['psp_refund_id']}/fail", {"reason": "lost_or_stolen_card"})

    paid = shop.wait_for_status(order_id, "paid")
    assert (paid["amount_refunded"], paid["payments"][0]["amount_refundable"]) == (0, 4_990)
    wait_for_refund(shop, order_id, "R-1", "failed")
    anew = shop.command(order_id, "refunds", {"refund_reference": "R-2"})
    assert (anew.status_code, anew.json()["amount"]) == (202, 4_990)
    shop.wait_for_status(order_id, "refunded")


def test_the_timeline_and_the_list_tell_of_it(shop: Shop) -> None:
    order_id = paid_order(shop)

    def lines() -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = shop.read(f"/{order_id}/timeline")["data"]
        kinds = {line["type"] for line in found}
        return found if {"RegisterPayment", "TokenIssued", "checkout.session.completed"} <= kinds else None

    timeline = eventually(lines, "the timeline")
    assert all(line["reason"] for line in timeline if line["effect"] == "ignored")
    assert "http" not in str(timeline)
    newest = shop.read("?status=paid&limit=1")["data"]
    assert [order["id"] for order in newest] == [order_id]


def test_an_order_is_followed_until_it_is_paid(shop: Shop) -> None:
    order = shop.registered()
    headers = {"Authorization": f"Bearer {shop.addresses.api_key}"}
    url = f"{shop.addresses.api_url}/v1/payment-orders/{order['id']}/events"
    seen: list[str] = []

    with httpx.stream("GET", url, headers=headers, timeout=60) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if not line.startswith("data: "):
                continue
            seen.append("paid" if '"status":"paid"' in line else "registered")
            if seen == ["registered"]:
                shop.pay(order)
            if seen[-1] == "paid":
                break

    assert seen[0] == "registered"
    assert seen[-1] == "paid"
