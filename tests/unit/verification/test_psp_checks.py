"""What the PSP's lists say, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from payonce.verification.psp_checks import Psp, check_refunds, unheard


@dataclass(frozen=True)
class Page:
    body: bytes


class Lists:
    """A PSP whose lists hold two objects a page."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self._objects = objects
        self.asked: list[Mapping[str, Any]] = []

    async def get(self, path: str, params: Mapping[str, Any], *, api_version: str) -> Page:
        self.asked.append(dict(params))
        ids = [each["id"] for each in self._objects]
        first = ids.index(params["starting_after"]) + 1 if "starting_after" in params else 0
        return Page(orjson.dumps({"data": self._objects[first : first + 2], "has_more": first + 2 < len(ids)}))


def refund(number: int, reference: str | None, status: str = "succeeded", order: str = "ord_1") -> dict[str, Any]:
    metadata = {"order_id": order, "refund_reference": reference} if reference else {}
    return {"id": f"re_{number}", "status": status, "metadata": metadata}


async def paused() -> None:
    """No time passes."""


async def test_a_reference_that_moved_money_twice_is_found_over_all_pages() -> None:
    lists = Lists(
        refund(1, "a"),
        refund(2, "b", "failed"),
        refund(3, None),
        refund(4, "b", "pending"),
        refund(5, "a", "pending"),
        refund(6, "a", order="ord_2"),
    )
    check = await check_refunds(Psp(lists, "v", 5, paused))
    assert len(lists.asked) == 3
    assert all(asked["created"] == {"gte": 5} for asked in lists.asked)
    assert (check.checked, check.violations) == (3, 1)
    assert (check.examples[0].subject, check.examples[0].detail) == ("ord_1", "a was refunded as re_1, re_5")


ORDER = "ord_" + "a" * 26


def test_a_paid_session_whose_order_has_no_row_at_all_is_not_heard_of() -> None:
    """The worst that can become of a webhook: the money is there, and here nobody has ever heard of the order."""
    [found] = unheard({ORDER: "cs_1"}, {})

    assert (found.subject, found.detail) == (ORDER, "cs_1 is paid at the PSP, the order is unknown here")


@pytest.mark.parametrize("status", ["created", "registered", "expired", "cancelled", "registration_failed", "failed"])
def test_a_paid_session_whose_order_was_never_told_is_not_heard_of(status: str) -> None:
    [found] = unheard({ORDER: "cs_1"}, {ORDER: status})

    assert (found.subject, found.detail) == (ORDER, f"cs_1 is paid at the PSP, the order is {status}")


@pytest.mark.parametrize("status", ["processing", "paid", "refunded", "disputed", "active", "ended"])
def test_a_paid_session_whose_order_says_more_than_unpaid_was_heard_of(status: str) -> None:
    assert unheard({ORDER: "cs_1"}, {ORDER: status}) == []
