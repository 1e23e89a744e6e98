"""What a failed call says, and of whom: of this order, of its endpoint, of the PSP, or of our configuration.

A harmless call, the canary, decides. While the PSP is away or refuses our credentials, consumption is held, and one
caller, the probe, finds out when that is over. While one endpoint fails or refuses us alone, that one rests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Final, Literal

import structlog

from payonce.ports import FailureKind, GatewayFailure
from services.psp_worker.holds import Cause
from services.psp_worker.pace import Endpoint
from services.psp_worker.psp import Psp
from services.psp_worker.sending import in_turn
from services.psp_worker.timing import CONFIGURATION_RETRY_SECONDS, backoff_seconds

log = structlog.get_logger()

#: What the canary asks in: any version that the PSP knows.
API_VERSION: Final = "2026-10-28.endive"
_AWAITED: Final[tuple[Cause, ...]] = ("configuration", "psp")


class Diagnosis:
    """For one caller. `sleep` waits without its slot."""

    def __init__(self, psp: Psp, order_id: str, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._psp = psp
        self._order_id = order_id
        self._sleep = sleep
        self._probing = ExitStack()  # while this caller is the one that tries our credentials
        self._is_probe = False
        self.is_trying = False  # the only one who calls an endpoint that rests
        self.has_waited = False  # the last failure has been waited for here: the next try may come at once

    @property
    def held_for(self) -> Cause | None:
        """Why this caller must not call now."""
        awaited = (cause for cause in _AWAITED if not (self._is_probe and cause == "configuration"))
        return next((cause for cause in awaited if self._psp.holds.is_held(cause)), None)

    def succeeded(self, endpoint: Endpoint) -> None:
        """Note an answer."""
        self.end_probe()
        self._psp.breakers.of(endpoint).succeeded(self._psp.clock.monotonic())
        self._psp.rests.of(endpoint).end()

    async def of(self, failure: GatewayFailure, endpoint: Endpoint) -> GatewayFailure:
        """Return the failure as what it is for this order, after waiting if the PSP is away or refuses us all.

        One of kind configuration comes back as transient, or as permanent if it concerns only this order.
        """
        if failure.kind == "configuration":
            return await self._refused(failure, endpoint)
        self.end_probe()
        if failure.kind == "transient":
            if self._psp.breakers.of(endpoint).failed(self._order_id) and not self._is_known(endpoint):
                await self._examine(endpoint)
        elif failure.kind != "rate_limited":
            self.succeeded(endpoint)
        return failure

    def end_probe(self) -> None:
        """Let the others try again, if they wait for this caller. Idempotent."""
        self._probing.close()
        self._is_probe = False

    def _is_known(self, endpoint: Endpoint) -> bool:
        """Return whether others know already that the PSP or this endpoint is away, and see to it."""
        return self._psp.holds.is_held("psp") or (self._psp.rests.of(endpoint).is_on and not self.is_trying)

    async def _examine(self, endpoint: Endpoint) -> None:
        """Let the endpoint rest; if the canary is not answered either, it is the whole PSP that is waited for."""
        if not self.is_trying:
            log.warning("endpoint_rests", endpoint=endpoint, order_id=self._order_id)
        self._psp.rests.of(endpoint).begin()
        if await self._canary() == "unanswered":
            await self._until_the_psp_answers()

    async def _until_the_psp_answers(self) -> None:
        """Hold consumption and send one canary after the other."""
        if self._psp.holds.is_held("psp"):
            return
        log.warning("psp_is_away", order_id=self._order_id)
        canaries = 0
        with self._psp.holds.holding("psp"):
            while True:
                canaries += 1
                await self._sleep(backoff_seconds(canaries, self._psp.jitter()))
                if await self._canary() != "unanswered":
                    break
        self._psp.breakers.away()  # what failed meanwhile says nothing about anybody
        log.info("psp_is_back")

    async def _refused(self, failure: GatewayFailure, endpoint: Endpoint) -> GatewayFailure:
        """Ask the canary whose problem a 401 or 403 is: ours, or that of this order alone."""
        if self._psp.holds.is_held("configuration") and not self._is_probe:
            self.has_waited = True  # it will, at the start of its next round: another call probes already
            return _as("transient", failure)
        canary = await self._canary()
        if canary == "unanswered":
            return _as("transient", failure)
        if canary == "refused":
            await self._wait_for_configuration(failure)
            return _as("transient", failure)
        self.end_probe()
        if not self._psp.breakers.of(endpoint).refused(self._order_id):
            return _as("permanent", failure)
        self._rest_for_configuration(failure, endpoint)
        return _as("transient", failure)

    async def _canary(self) -> Literal["accepted", "refused", "unanswered"]:
        lane = self._psp.pacer.lane("sessions.list", spare=True)
        try:
            await in_turn(self._psp, lane, lambda: self._psp.gateway.canary(api_version=API_VERSION))
        except GatewayFailure as failure:
            if failure.kind == "configuration":
                return "refused"
            return "accepted" if failure.kind == "permanent" else "unanswered"
        return "accepted"

    def _rest_for_configuration(self, failure: GatewayFailure, endpoint: Endpoint) -> None:
        """Let the endpoint rest: our key may do other things, but not this. One order after the other finds out."""
        rest = self._psp.rests.of(endpoint)
        if rest.is_on and not self.is_trying:
            return
        if not rest.is_on:
            log.error("psp_refuses_an_endpoint", endpoint=endpoint, order_id=self._order_id, detail=_said(failure))
        rest.begin()

    async def _wait_for_configuration(self, failure: GatewayFailure) -> None:
        self.has_waited = True
        if not self._is_probe:
            if self._psp.holds.is_held("configuration"):
                return
            self._is_probe = True
            self._probing.enter_context(self._psp.holds.holding("configuration"))
            log.error("psp_refuses_our_credentials", order_id=self._order_id, detail=_said(failure))
        await self._sleep(CONFIGURATION_RETRY_SECONDS)


def _said(failure: GatewayFailure) -> str:
    return f"HTTP {failure.http_status} {failure.code or ''}".rstrip()


def _as(kind: FailureKind, failure: GatewayFailure) -> GatewayFailure:
    return GatewayFailure(
        kind, failure.detail, http_status=failure.http_status, code=failure.code, request_id=failure.request_id
    )
