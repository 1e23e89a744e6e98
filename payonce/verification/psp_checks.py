"""The checks that ask the PSP: payable sessions, refunds, money that we have not heard of.

Every request is one page of a list and is paced by whoever hands the pause in: it belongs to the lower share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from payonce.adapters.postgres import Database
from payonce.adapters.verify_reads import page_reads
from payonce.domain.psp_objects import is_order_id
from payonce.verification.findings import Check, Finding

_PAGE = 100
#: A session is open for less than a day, so older ones need not be asked for.
WINDOW_SECONDS = 24 * 3600
_NOT_PAID = frozenset({"created", "registered", "expired", "cancelled", "registration_failed", "failed"})
#: A complete session is one of these or "unpaid" (on its way); with nothing due, a trial say, the order is active.
_SETTLED = frozenset({"paid", "no_payment_required"})
_MOVED_NOTHING = frozenset({"failed", "canceled"})


class Answer(Protocol):
    """A success of the PSP."""

    @property
    def body(self) -> bytes:
        """Its JSON."""
        ...


class Getter(Protocol):
    """The part of the Stripe gateway that reads."""

    async def get(self, path: str, params: Mapping[str, Any], *, api_version: str) -> Answer:
        """Read a path. Raises GatewayFailure."""
        ...


@dataclass(frozen=True, slots=True)
class Psp:
    """How to ask: `pause` is awaited before every request; `since` (unix seconds) is where the lists begin."""

    gateway: Getter
    api_version: str
    since: int
    pause: Callable[[], Awaitable[None]]

    async def listed(self, path: str) -> AsyncIterator[Mapping[str, Any]]:
        """Yield every object of a list, newest first. Raises GatewayFailure."""
        params: dict[str, Any] = {"created": {"gte": self.since}, "limit": _PAGE}
        has_more = True
        while has_more:
            await self.pause()
            answer = await self.gateway.get(path, params, api_version=self.api_version)
            page = msgspec.json.decode(answer.body)
            for each in page["data"]:
                yield each
                params["starting_after"] = each["id"]
            has_more = page["has_more"]


async def check_sessions(psp: Psp, database: Database) -> list[Check]:
    """Look for orders with two open sessions of those that we have handed out, and for money that we do not know of."""
    payable = Check(2, "at most one payable session of an order at the PSP")
    heard = Check(4, "what is paid at the PSP is not unpaid here")
    open_sessions: defaultdict[str, list[str]] = defaultdict(list)
    paid: dict[str, str] = {}
    async for session in psp.listed("/v1/checkout/sessions"):
        order_id = (session.get("metadata") or {}).get("order_id")
        if order_id is None:
            continue
        payable.add(1)
        if session["status"] == "open":
            open_sessions[order_id].append(session["id"])
        elif session["status"] == "complete" and session["payment_status"] in _SETTLED and is_order_id(order_id):
            paid[order_id] = session["id"]
    payable.add(0, _doubled(database, {key: ids for key, ids in open_sessions.items() if len(ids) > 1}))
    with page_reads(database) as reads:
        heard.add(len(paid), unheard(paid, reads.statuses(paid)))
    return [payable, heard]


def unheard(paid: Mapping[str, str], statuses: Mapping[str, str]) -> list[Finding]:
    """Return the orders (of order -> its paid session) that are unpaid here, or have no row at all. Pure."""
    told = {order_id: statuses.get(order_id, "unknown here") for order_id in sorted(paid)}
    return [
        Finding(order_id, f"{paid[order_id]} is paid at the PSP, the order is {status}")
        for order_id, status in told.items()
        if order_id not in statuses or status in _NOT_PAID
    ]


async def check_refunds(psp: Psp) -> Check:
    """Look for a refund reference that has moved money more than once."""
    check = Check(2, "a refund reference moves money once")
    refunds: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    async for refund in psp.listed("/v1/refunds"):
        metadata = refund.get("metadata") or {}
        if "order_id" in metadata and "refund_reference" in metadata and refund["status"] not in _MOVED_NOTHING:
            refunds[metadata["order_id"], metadata["refund_reference"]].append(refund["id"])
    doubled = {key: ids for key, ids in refunds.items() if len(ids) > 1}
    check.add(
        len(refunds),
        (
            Finding(order, f"{reference} was refunded as {', '.join(ids)}")
            for (order, reference), ids in doubled.items()
        ),
    )
    return check


def _doubled(database: Database, sessions: Mapping[str, list[str]]) -> list[Finding]:
    with page_reads(database) as reads:
        returned = reads.handed_out(each for ids in sessions.values() for each in ids)
    ours = {order_id: sorted(returned.intersection(ids)) for order_id, ids in sessions.items()}
    return [
        Finding(order_id, f"{', '.join(ids)} can all be paid") for order_id, ids in sorted(ours.items()) if len(ids) > 1
    ]
