"""One command's way to the PSP: it waits for its turn, makes one request, and after a failure as long as that takes.

Every request of the worker goes through here: paced, counted, held while the PSP is away or refuses our credentials.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

from payonce.ports import GatewayFailure
from services.psp_worker.diagnosis import Diagnosis
from services.psp_worker.pace import Endpoint
from services.psp_worker.psp import Psp
from services.psp_worker.sending import NOTHING, Preparation, in_turn
from services.psp_worker.slots import Slot
from services.psp_worker.timing import STUCK_SECONDS, backoff_seconds

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
        self._order_id = order_id
        self._endpoint: Endpoint = "sessions.list"  # of the latest call, a shared one included
        self._failures = 0
        self._failing_since: float | None = None
        self._has_failed = False  # refusals count here, too

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._diagnosis.end_probe()

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
        self._endpoint = endpoint
        async with AsyncExitStack() as turn:
            await self._admitted(turn)
            lane = self.psp.pacer.lane(endpoint, spare=self._spare)
            try:
                answer = await in_turn(self.psp, lane, send, ready=ready)
            except GatewayFailure as failure:
                self._count(failure)
                raise await self._diagnosis.of(failure, endpoint) from failure
            self._diagnosis.succeeded(endpoint)
        self._recovered()
        return answer

    async def shared(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Wait without a slot for an answer that another caller gets for several commands; ask until it comes.

        Raises GatewayFailure if the PSP refuses the question, Stuck.
        """
        self._endpoint = "sessions.list"
        while True:
            async with self.given_back():
                answer = await _answer_or_failure(ask)
            if not isinstance(answer, GatewayFailure):
                self._recovered()
                return answer
            if answer.kind == "permanent":
                raise answer
            self._count(answer)
            await self.pause(answer)

    async def pause(self, failure: GatewayFailure) -> None:
        """Wait before the next try after this failure. Raises Stuck."""
        if failure.kind == "rate_limited":
            self.psp.pacer.slow_down()
        self._refuse_if_stuck(failure)
        waited, self._diagnosis.has_waited = self._diagnosis.has_waited, False
        if not waited:
            await self.sleep(backoff_seconds(max(self._failures, 1), self.psp.jitter()))

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

    async def _admitted(self, turn: AsyncExitStack) -> None:
        """Return when a call may be made; while the endpoint rests, `turn` holds the only place to try it."""
        rest = self.psp.rests.of(self._endpoint)
        is_trying = False
        while (cause := self._diagnosis.held_for) or (rest.is_on and not is_trying):
            async with self.given_back():
                if cause:
                    await turn.aclose()  # whoever finds out when the hold is over may need the place to try
                    is_trying = False
                    await self.psp.holds.cleared(cause)
                else:
                    await turn.enter_async_context(rest.turn(has_failed=self._has_failed))
                    is_trying = rest.is_on
            if not is_trying:  # the rest was over when the turn came
                await turn.aclose()
        self._diagnosis.is_trying = is_trying

    def _count(self, failure: GatewayFailure) -> None:
        self._has_failed = True
        if failure.kind == "configuration":
            return
        self._failures += 1
        if self._failing_since is None:
            self._failing_since = self.psp.clock.monotonic()

    def _recovered(self) -> None:
        self._failures, self._failing_since, self._has_failed = 0, None, False

    def _refuse_if_stuck(self, failure: GatewayFailure) -> None:
        if self._failing_since is None:
            return
        since = self.psp.breakers.others_succeed_since(self._endpoint, self._order_id, self._failing_since)
        if since is not None and self.psp.clock.monotonic() - since >= STUCK_SECONDS:
            raise Stuck(failure.detail) from failure


async def _answer_or_failure(ask: Callable[[], Awaitable[T]]) -> T | GatewayFailure:
    try:
        return await ask()
    except GatewayFailure as failure:
        return failure
