"""Everything checkout_api works with, handed in once. `__main__` fills it with the real parts, tests with fakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends, Request

from payonce.domain.order_row import OrderRow
from payonce.domain.whole_order import WholeOrder
from payonce.ports import Clock, LogProducer
from services.checkout_api.clients import Clients
from services.checkout_api.limits import RateLimit, Streams
from services.checkout_api.links import Links
from services.checkout_api.ports import Broker, OrderArchive, OrderReads, OrderWatch, SignatureCheck
from services.checkout_api.publishing import PUBLISH_SECONDS
from services.checkout_api.waiting import Orders

#: What this process says of itself in `ce_source`.
SOURCE = "checkout_api"
#: Requests that wait for an attempt or a cancellation; whole orders cost more to read than rows.
_COMMAND_SEATS = 200
#: Streams at once, in total and for each client. Fewer than there are seats, so that whoever follows can wait.
_STREAMS = 1_000
_STREAMS_PER_CLIENT = 200
#: Streams last long: their re-reads, which make good a lost hint, may come seldom.
_STREAM_REREAD_SECONDS = 3.0


class ClientsSource(Protocol):
    """Knows the clients as they are declared now."""

    def current(self) -> Clients:
        """Return the clients. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The parts. `verify_signature` is None when no webhook secret is set: the endpoint is off then.

    Customers, who may be anyone, wait in a room of their own (`visited`), so that they cannot take the clients' seats;
    so do those who follow an order (`followed`) and who wait for what a command makes of a whole one (`whole`).
    """

    producer: LogProducer
    broker: Broker
    reads: OrderReads[OrderRow]
    archive: OrderArchive
    watch: OrderWatch
    clock: Clock
    clients: ClientsSource
    links: Links
    verify_signature: SignatureCheck | None
    stripe_api_version: str
    session_lifetime_seconds: int
    publish_seconds: float = PUBLISH_SECONDS
    orders: Orders[OrderRow] = field(init=False)
    visited: Orders[OrderRow] = field(init=False)
    followed: Orders[OrderRow] = field(init=False)
    whole: Orders[WholeOrder] = field(init=False)
    rate_limit: RateLimit = field(init=False)
    streams: Streams = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "orders", Orders(self.reads, self.watch, self.clock))
        object.__setattr__(self, "visited", Orders(self.reads, self.watch, self.clock))
        followed = Orders(self.reads, self.watch, self.clock, reread_seconds=_STREAM_REREAD_SECONDS)
        object.__setattr__(self, "followed", followed)
        whole = Orders(self.archive, self.watch, self.clock, seats=_COMMAND_SEATS)
        object.__setattr__(self, "whole", whole)
        object.__setattr__(self, "rate_limit", RateLimit(self.clock))
        object.__setattr__(self, "streams", Streams(_STREAMS, _STREAMS_PER_CLIENT))

    def stop_waiting(self) -> None:
        """Let whoever waits be answered, and whoever follows be let go, within seconds: the process is about to end."""
        for room in (self.orders, self.visited, self.followed, self.whole):
            room.stop_waiting()


async def _of_application(request: Request) -> Dependencies:
    dependencies: Dependencies = request.app.state.dependencies
    return dependencies


Parts = Annotated[Dependencies, Depends(_of_application)]
