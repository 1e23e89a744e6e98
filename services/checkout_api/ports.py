"""What checkout_api needs from outside besides the log and the clock. The adapters satisfy these by their shape."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from payonce.domain.whole_order import OrderFilter, TimelineLine, WholeOrder

#: How much of an order is read: its row, or all of it.
Read_co = TypeVar("Read_co", covariant=True)


class OrderReads(Protocol[Read_co]):
    """Reads of single orders."""

    async def order(self, order_id: str) -> Read_co | None:
        """Return the order as it is committed now, None if it is not folded yet.

        Raises StoreUnavailable within a second or two when PostgreSQL does not answer.
        """
        ...


class OrderArchive(OrderReads[WholeOrder], Protocol):
    """Reads of whole orders, of lists of them, and of their timelines. Each raises StoreUnavailable as above."""

    async def page(
        self, client_id: str, wanted: OrderFilter, *, after: str | None, limit: int
    ) -> Sequence[WholeOrder] | None:
        """Return a client's orders, newest first, those `after` an order of that client if one is named.

        None: there is no such order to go on from.
        """
        ...

    async def timeline(self, order_id: str, *, after: str | None, limit: int) -> Sequence[TimelineLine] | None:
        """Return what touched an order, oldest first, what came `after` an event of that order if one is named.

        None: there is no such event to go on from.
        """
        ...


class Waiter(Protocol):
    """One waiting request."""

    async def changed(self) -> None:
        """Return once the order may have changed since the last call or since registration. May be spurious."""
        ...


class OrderWatch(Protocol):
    """Tells waiting requests that their order has changed."""

    @property
    def healthy(self) -> bool:
        """Whether PostgreSQL answers now. False: do not spend a request's time on it."""
        ...

    def waiter(self, order_id: str) -> AbstractContextManager[Waiter]:
        """Register a waiter, for the time of the `with` block. Register before you read, or a change is missed."""
        ...


class Broker(Protocol):
    """The log's reachability, for /readyz."""

    async def reachable(self, timeout_seconds: float) -> bool:
        """Return whether a broker answers within the time. Never raises for its absence."""
        ...


class SignatureCheck(Protocol):
    """The PSP's signature over a webhook."""

    def __call__(self, body: bytes, header: str) -> bool:
        """Return whether the header is a fresh signature of exactly these bytes under one of the live secrets."""
        ...
