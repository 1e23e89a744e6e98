"""A customer's visit to one of our public links: held for a moment while its order is on the way, then sent on.

`t` is compared with the stored body, so until the order is known everyone waits alike and a guess learns nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Response

from payonce.domain.order_row import OrderRow
from payonce.ports import StoreUnavailable
from services.checkout_api import pages
from services.checkout_api.dependencies import Dependencies
from services.checkout_api.links import Links
from services.checkout_api.parameters import ORDER_ID, TOKEN
from services.checkout_api.returns import return_url

#: After this the page stops refreshing itself and offers a button.
GIVE_UP_SECONDS = 300
_SINCE = re.compile(r"[0-9]{1,11}")

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page that waits, or offers to try again", "content": {"text/html": {}}},
    303: {"description": "To the PSP's page, or to the shop with the signed status"},
    404: {"description": "The link opens nothing", "content": {"text/html": {}}},
    503: {"description": "A page that waits: the database is away", "content": {"text/html": {}}},
}


@dataclass(frozen=True, slots=True)
class ShowPage:
    """The PSP's page can be shown."""

    url: str


@dataclass(frozen=True, slots=True)
class BackToShop:
    """The customer goes back, and the shop is told this status."""

    order: OrderRow
    status: str


Decision = ShowPage | BackToShop | Literal["wait", "not_found"]


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a link. `path` leads back here; `since` is when this customer began to wait, as the page says."""

    order_id: str
    token: str
    path: str
    since: str
    message: str
    hold_seconds: float

    def may_open(self) -> bool:
        """Return whether the link has the form of one of ours."""
        return bool(ORDER_ID.fullmatch(self.order_id) and TOKEN.fullmatch(self.token))

    def began(self, now: float) -> int:
        """Return when the waiting began. Unsigned: a wrong value changes that browser's own page and nothing else."""
        return min(int(self.since), int(now)) if _SINCE.fullmatch(self.since) else int(now)


async def receive(
    visit: Visit,
    parts: Dependencies,
    decide: Callable[[OrderRow | None], Decision],
    is_enough: Callable[[Decision], bool],
) -> Response:
    """Hold the visit until the decision is enough or its time is over, then answer it. Never raises."""
    if not visit.may_open():
        return pages.not_found()
    began = visit.began(parts.clock.now())
    try:
        order = await parts.visited.when(
            visit.order_id, lambda found: is_enough(decide(found)), seconds=visit.hold_seconds
        )
    except StoreUnavailable:
        return _wait(visit, parts, None, began, status=503)
    decision = decide(order)
    if decision == "wait":
        return _wait(visit, parts, order, began)
    if decision == "not_found":
        return pages.not_found()
    return pages.see_other(decision.url) if isinstance(decision, ShowPage) else _back_to_shop(decision, parts)


def belongs(order: OrderRow | None, token: str, links: Links) -> Literal["wait", "not_found", "yes"]:
    """Return whether the link is one of this order and body; `wait` while the body is not known."""
    if order is None or order.body_hash is None:
        return "wait"
    return "yes" if links.opens(token, order.order_id, order.body_hash) else "not_found"


def _wait(visit: Visit, parts: Dependencies, order: OrderRow | None, began: int, status: int = 200) -> Response:
    if parts.clock.now() - began >= GIVE_UP_SECONDS:
        return pages.gave_up((order and order.reference) or visit.order_id, visit.path)
    return pages.waiting(visit.order_id, visit.message, f"{visit.path}&since={began}", status)


def _back_to_shop(decision: BackToShop, parts: Dependencies) -> Response:
    order, client = decision.order, parts.clients.current().by_id(decision.order.client_id)
    url = return_url(order, client, decision.status, parts.clock.now()) if client else None
    # A client that has left has no secret to sign with, and nobody to check it.
    return pages.see_other(url) if url else pages.finished(order.reference or order.order_id, decision.status)
