"""One request at its time: the turn in the line, what must be true when it leaves, and how long it took."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from payonce.ports import GatewayFailure
from payonce.telemetry import psp_call_seconds, psp_calls_total
from services.psp_worker.pace import Lane
from services.psp_worker.psp import Psp

T = TypeVar("T")


class CallNotWanted(Exception):
    """Whoever was to call has learned meanwhile that no call is wanted any more."""


class Preparation(Protocol):
    """What must be true at the moment a call leaves."""

    def is_ready(self) -> bool:
        """Return whether it is true now."""
        ...

    async def make_ready(self) -> None:
        """Make it true. Raises CallNotWanted."""
        ...


class _Nothing:
    def is_ready(self) -> bool:
        return True

    async def make_ready(self) -> None:
        """Do nothing: nothing need be true."""


NOTHING: Final[Preparation] = _Nothing()


async def in_turn(psp: Psp, lane: Lane, send: Callable[[], Awaitable[T]], *, ready: Preparation = NOTHING) -> T:
    """Make the request when it may leave at once and everything is ready. Raises CallNotWanted, GatewayFailure."""
    left_at = await _leaves(lane, ready)
    try:
        return await _measured(psp, send)
    finally:
        lane.came_back(left_at)


async def _leaves(lane: Lane, ready: Preparation) -> float:
    async with lane.line:
        await lane.due()
        while not ready.is_ready():
            await ready.make_ready()
            await lane.due()
        return lane.left()


async def _measured(psp: Psp, send: Callable[[], Awaitable[T]]) -> T:
    began = psp.clock.monotonic()
    try:
        answer = await send()
    except GatewayFailure as failure:
        psp_calls_total.labels(failure.kind).inc()
        raise
    finally:
        psp_call_seconds.observe(psp.clock.monotonic() - began)
    psp_calls_total.labels("ok").inc()
    return answer
