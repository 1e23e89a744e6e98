"""One command's way to the PSP: it waits for its turn, makes one request, and after a failure as long as that takes.

Every request of the worker goes through here: paced, counted, held while the PSP is away or refuses our credentials.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

from payonce.ports import GatewayFailure
from services.psp_worker.diagnosis import Diagnosis
from services.psp_worker.failing import Failing
from services.psp_worker.pace import Endpoint, Lane
from services.psp_worker.psp import Psp
from services.psp_worker.sending import NOTHING, Preparation, in_turn
from services.psp_worker.slots import Slot
from services.psp_worker.timing import backoff_seconds

T = TypeVar("T")


class Stuck(Exception):
    """This command keeps failing while others succeed: leave it to people."""


class Caller:
    """A command's caller; `slot` None: it has no place to give back. Leave it as a context: it may be a probe."""

    def __init__(self, psp: Psp, slot: Slot | None, *, order_id: str, spare: bool) -> None:
        self.psp = psp
        self._slot = slot
        self._spare = spare
        self._diagnosis = Diagnosis(psp, order_id, self.sleep)
        self._failing = Failing(psp.breakers, order_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._diagnosis.end_probe()

    def one_aim(self) -> AbstractContextManager[None]:
        """Let no answer within the block end the count of failures: a look between two tries is not what they are for.

        For loops of several calls. Aims have no aims of their own.
        """
        return self._failing.one_aim()

    async def ask(self, endpoint: Endpoint, send: Callable[[], Awaitable[T]]) -> T:
        """Make a harmless request again and again until it is answered.

        Raises GatewayFailure if the PSP refuses it, Stuck.
        """
        while True:
            try:
                return await self.call(endpoint, send)
            except GatewayFailure as failure:
                if failure.kind == "permanent":
                    raise
                await self.pause(failure)

    async def call(self, endpoint: Endpoint, send: Callable[[], Awaitable[T]], *, ready: Preparation = NOTHING) -> T:
        """Make one request when it is its turn and everything is ready.

        Raises CallNotWanted; GatewayFailure as what it is for this order, never of kind configuration.
        """
        async with AsyncExitStack() as turn:
            await self._admitted(turn, endpoint)
            lane = self.psp.pacer.lane(endpoint, spare=self._spare)
            try:
                answer = await self._in_turn(lane, send, ready)
            except GatewayFailure as failure:
                raise await self._judged(failure, endpoint) from failure
            self._diagnosis.succeeded(endpoint)
        self._failing.succeeded()
        return answer

    async def shared(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Wait without a slot for an answer that another caller gets for several commands; ask until it comes.

        Raises GatewayFailure if the PSP refuses the question, Stuck.
        """
        while True:
            try:
                async with self.given_back():
                    answer = await ask()
            except GatewayFailure as failure:
                if failure.kind == "permanent":
                    raise
                self._failing.failed("sessions.list", self.psp.clock.monotonic())
                await self.pause(failure)
            else:
                self._failing.succeeded()
                return answer

    async def pause(self, failure: GatewayFailure) -> None:
        """Wait before the next try after this failure. Raises Stuck."""
        if failure.kind == "rate_limited":
            self.psp.pacer.slow_down()
        if self._failing.is_stuck(self.psp.clock.monotonic()):
            raise Stuck(failure.detail) from failure
        waited, self._diagnosis.has_waited = self._diagnosis.has_waited, False
        if not waited:
            await self.sleep(backoff_seconds(max(self._failing.failures, 1), self.psp.jitter()))

    async def sleep(self, seconds: float) -> None:
        """Wait so long without a slot."""
        async with self.given_back():
            await self.psp.clock.sleep(seconds)

    @asynccontextmanager
    async def given_back(self) -> AsyncIterator[None]:
        """Give the slot back for the length of the block."""
        if self._slot is None:
            yield
            return
        async with self._slot.given_back():
            yield

    async def _in_turn(self, lane: Lane, send: Callable[[], Awaitable[T]], ready: Preparation) -> T:
        """Make the request in its turn.

        What is spare waits for that without a slot: little of it may leave, and it would fill all the slots by and by.
        """
        if not self._spare or (slot := self._slot) is None:
            return await in_turn(self.psp, lane, send, ready=ready)

        def send_on() -> Awaitable[T]:
            slot.goes_on()
            return send()

        async with slot.given_back():
            return await in_turn(self.psp, lane, send_on, ready=ready)

    async def _admitted(self, turn: AsyncExitStack, endpoint: Endpoint) -> None:
        """Return when a call may be made; while the endpoint rests, `turn` holds the only place to try it."""
        rest = self.psp.rests.of(endpoint)
        is_trying = False
        while (cause := self._diagnosis.held_for) or (rest.is_on and not is_trying):
            async with self.given_back():
                if cause:
                    await turn.aclose()  # whoever finds out when the hold is over may need the place to try
                    is_trying = False
                    await self.psp.holds.cleared(cause)
                else:
                    await turn.enter_async_context(rest.turn(has_failed=self._failing.has_failed))
                    is_trying = rest.is_on
            if not is_trying:  # the rest was over when the turn came
                await turn.aclose()
        self._diagnosis.is_trying = is_trying

    async def _judged(self, failure: GatewayFailure, endpoint: Endpoint) -> GatewayFailure:
        """Count the failure, and return it as what it is for this order."""
        began = self.psp.clock.monotonic()
        self._failing.has_failed = True
        if failure.kind != "configuration":
            self._failing.failed(endpoint, began)
        judged = await self._diagnosis.of(failure, endpoint)
        if failure.kind == "configuration" and judged.kind == "permanent":  # it is this order's own after all
            self._failing.failed(endpoint, began)
        return judged
