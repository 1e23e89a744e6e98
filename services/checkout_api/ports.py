"""What checkout_api needs from outside besides the log and the clock. The adapters satisfy these by their shape."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from payonce.domain.order_row import OrderRow


class OrderReads(Protocol):
    """Reads of payment_order."""

    async def order(self, order_id: str) -> OrderRow | None:
        """Return the order as it is committed now, None if it is not folded yet.

        Raises StoreUnavailable within a second or two when PostgreSQL does not answer.
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
