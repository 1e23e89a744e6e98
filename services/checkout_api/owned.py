"""Reading for a client: only what is its own, and 503 when PostgreSQL is away. What is another's does not exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from payonce.domain.whole_order import WholeOrder
from payonce.ports import StoreUnavailable
from payonce.problem_documents import Problem
from services.checkout_api.answers import RETRY_AFTER
from services.checkout_api.clients import Client
from services.checkout_api.dependencies import Dependencies
from services.checkout_api.parameters import ORDER_ID
from services.checkout_api.ports import OrderArchive
from services.checkout_api.problems import unavailable, wrong_field

Found = TypeVar("Found")


async def own_order(client: Client, order_id: str, parts: Dependencies) -> WholeOrder:
    """Return the client's order, its own fields known. Raises Problem: 404 (unknown, or not folded yet), 503."""
    whole = await read(parts, lambda archive: archive.order(order_id)) if ORDER_ID.fullmatch(order_id) else None
    if whole is None or whole.row.client_id != client.id or whole.row.body_hash is None:
        raise unknown_order()
    return whole


async def read(parts: Dependencies, question: Callable[[OrderArchive], Awaitable[Found]]) -> Found:
    """Return what the archive answers. Raises Problem(503), at once if PostgreSQL is known to be away."""
    if not parts.watch.healthy:
        raise unavailable("the database")
    try:
        return await question(parts.archive)
    except StoreUnavailable as error:
        raise unavailable("the database") from error


async def once(
    parts: Dependencies, whole: WholeOrder, settled: Callable[[WholeOrder | None], bool], seconds: int
) -> WholeOrder:
    """Return the order once it is settled, or as it was last known: what was asked for is in the log all the same."""
    try:
        found = await parts.whole.when(whole.row.order_id, settled, seconds=seconds)
    except StoreUnavailable:
        return whole
    return found or whole


def unknown_order() -> Problem:
    """Return the 404 of an order that this client does not have (yet)."""
    return Problem(404, "unknown_order", "you have no payment order with this id (yet)", headers=RETRY_AFTER)


def unknown_cursor(what: str) -> Problem:
    """Return the 422 of a page that would begin after nothing."""
    return wrong_field("starting_after", f"names no {what} to go on from", "unknown_cursor")
