"""Faust's aiokafka transport with three changes, each of which a test on a real broker asked for.

Eager delivery: Faust hands each message over through two tasks and three turns of the loop, though the hand-over almost
never waits. Here it is driven by hand for one step, and only what does wait takes the long way.
At a revocation the batch in progress ends first, so that the next owner reads the positions that it wrote.
At an assignment every partition is sought, and goes back to where PostgreSQL is if that is behind what Kafka has
committed. aiokafka seeks no partition without a committed offset: a fetch that was under way when the group rebalanced
may have taken its first records meanwhile, and Faust drops them, trusting in the seek.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Mapping
from typing import Any, Protocol

from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP
from mode.services import WaitResults

from payonce.adapters.kafka.reader import LogAway

#: Below Faust's `broker_request_timeout`, and time for the slowest part: PostgreSQL, and a dead letter on its way.
_SEEK_SECONDS = 30.0


class RebalanceHooks(Protocol):
    """What has to happen around a rebalance."""

    async def before_revocation(self) -> None:
        """Finish what is in progress. Bounded."""
        ...

    async def starts(self, committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
        """Return where to start each partition: at its committed offset, or before that."""
        ...


class EagerConsumer(Consumer):  # type: ignore[misc]  # Faust's classes are untyped to us
    """The consumer of an EagerTransport."""

    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:  # noqa: ASYNC109  (as in mode)
        """Wait for the first of the coroutines, without a task for a delivery that does not wait."""
        if len(coros) != 2 or timeout is not None:  # noqa: PLR2004  (delivery and suspension: Consumer._drain_messages)
            return await super().wait_first(*coros, timeout=timeout)
        delivery, suspended = coros
        try:
            awaited = delivery.send(None)
        except StopIteration as delivered:
            suspended.close()
            return WaitResults([delivery], [delivered.value], False)
        except BaseException:
            suspended.close()
            raise
        return await super().wait_first(_Rest(delivery, awaited), suspended)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self.transport.hooks.before_revocation()
        await super().on_partitions_revoked(revoked)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the committed offsets, or further back; Faust keeps what this returns as its own positions.

        Where that takes too long the process ends, with LogAway: Faust's own limit would end the task that resumes the
        flow, and nothing else, so that a healthy member would hold its partitions for ever and read none of them.
        """
        try:
            async with asyncio.timeout(_SEEK_SECONDS):
                committed: Mapping[TP, int | None] = await super().seek_to_committed()
                starts: Mapping[TP, int] = await self.transport.hooks.starts(committed)
                await self.seek_wait(starts)
        except TimeoutError as error:
            away = LogAway(f"no positions to begin at within {_SEEK_SECONDS:.0f} s of an assignment")
            await self.app.crash(away)  # not every caller lets an error through
            raise away from error
        return starts


class EagerTransport(Transport):  # type: ignore[misc]
    """Names the consumer; `hooks` must be set before the app starts."""

    Consumer = EagerConsumer
    hooks: RebalanceHooks


class _Rest:
    """A coroutine that has made its first step elsewhere and goes on in whoever awaits this."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        awaited = self._awaited
        while True:
            failure: BaseException | None = None
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001  (a cancellation is the coroutine's to handle)
                failure = error
            try:
                awaited = self._coroutine.send(None) if failure is None else self._coroutine.throw(failure)
            except StopIteration as end:
                return end.value
