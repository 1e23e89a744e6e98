"""Everything checkout_api works with, handed in once. `__main__` fills it with the real parts, tests with fakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends, Request

from payonce.ports import Clock, LogProducer
from services.checkout_api.clients import Clients
from services.checkout_api.limits import RateLimit
from services.checkout_api.links import Links
from services.checkout_api.ports import Broker, OrderReads, OrderWatch, SignatureCheck
from services.checkout_api.publishing import PUBLISH_SECONDS
from services.checkout_api.waiting import Orders

#: What this process says of itself in `ce_source`.
SOURCE = "checkout_api"


class ClientsSource(Protocol):
    """Knows the clients as they are declared now."""

    def current(self) -> Clients:
        """Return the clients. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The parts. `verify_signature` is None when no webhook secret is set: the endpoint is off then.

    Customers, who may be anyone, wait in a room of their own (`visited`), so that they cannot take the clients' seats.
    """

    producer: LogProducer
    broker: Broker
    reads: OrderReads
    watch: OrderWatch
    clock: Clock
    clients: ClientsSource
    links: Links
    verify_signature: SignatureCheck | None
    stripe_api_version: str
    session_lifetime_seconds: int
    publish_seconds: float = PUBLISH_SECONDS
    orders: Orders = field(init=False)
    visited: Orders = field(init=False)
    rate_limit: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "orders", Orders(self.reads, self.watch, self.clock))
        object.__setattr__(self, "visited", Orders(self.reads, self.watch, self.clock))
        object.__setattr__(self, "rate_limit", RateLimit(self.clock))

    def stop_waiting(self) -> None:
        """Let whoever waits be answered within a second: the process is about to end."""
        self.orders.stop_waiting()
        self.visited.stop_waiting()


async def _of_application(request: Request) -> Dependencies:
    dependencies: Dependencies = request.app.state.dependencies
    return dependencies


Parts = Annotated[Dependencies, Depends(_of_application)]
