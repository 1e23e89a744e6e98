"""An order's changes as server-sent events: the whole public order each time it changes, numbered by its version.

A stream is only a faster way to read: it shows what is committed, may leave out versions that came between two reads,
and begins with the present state unless the client has seen that already.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from payonce.domain.order_row import OrderRow
from payonce.ports import Clock, StoreUnavailable
from services.checkout_api.answers import shown
from services.checkout_api.links import Links
from services.checkout_api.statuses import LASTING_STATUSES
from services.checkout_api.waiting import Orders

#: Proxies close what is silent for a minute, some for half of one.
HEARTBEAT_SECONDS = 15.0
#: A status that nothing is sure to follow ends the stream once it has stayed so long.
LINGER_SECONDS = 60.0
#: A client connects again afterwards, perhaps to another process: so streams spread anew.
LONGEST_SECONDS = 900.0
_RETRY_MS = 2_000
_HEARTBEAT = ": still here\n\n"
_VERSION = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Follower:
    """One client that follows one order; `version` is what it has seen, 0 for nothing."""

    order_id: str
    version: int
    orders: Orders[OrderRow]
    links: Links
    clock: Clock

    async def stream(self) -> AsyncIterator[str]:
        """Yield the stream's text until the order has come to rest, the time is over, or the process is to end."""
        yield f"retry: {_RETRY_MS}\n\n"
        seen, ends_at = self.version, self.clock.monotonic() + LONGEST_SECONDS
        order: OrderRow | None = None
        while not self.orders.closing and not self._is_over(order, ends_at):
            try:
                order = await self._changed(seen, ends_at)
            except StoreUnavailable:
                yield _HEARTBEAT
                continue
            document = shown(order, self.links, now=self.clock.now()) if order else None
            if document is None or document.version <= seen:
                yield _HEARTBEAT
                continue
            seen = document.version
            yield f"id: {seen}\nevent: payment_order\ndata: {document.model_dump_json()}\n\n"

    async def _changed(self, seen: int, ends_at: float) -> OrderRow | None:
        seconds = min(HEARTBEAT_SECONDS, max(0.0, ends_at - self.clock.monotonic()))
        return await self.orders.when(
            self.order_id, lambda order: order is not None and order.version > seen, seconds=seconds
        )

    def _is_over(self, order: OrderRow | None, ends_at: float) -> bool:
        if self.clock.monotonic() >= ends_at:
            return True
        return order is not None and is_at_rest(order, self.clock.now())


def is_at_rest(order: OrderRow, now: float) -> bool:
    """Return whether nothing is sure to follow, and nothing has for a while."""
    return order.status not in LASTING_STATUSES and now - order.updated_at >= LINGER_SECONDS


def last_seen(header: str | None) -> int:
    """Return the version that a `Last-Event-ID` names, 0 for none or for what is not ours."""
    return int(header) if header and _VERSION.fullmatch(header) else 0
