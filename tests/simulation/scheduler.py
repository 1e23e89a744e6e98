"""Virtual time and mortal processes: one asyncio loop whose clock jumps, and incarnations that it can kill or freeze.

Everything runs in one thread, in an order that follows from the seed alone. A killed incarnation never runs again: no
cancellation, no `finally`. A frozen one is the same until it is revived. What it had sent before is on its way.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal, TypeVar

T = TypeVar("T")

#: A process waits for less than this only to look again at something; when nothing can have changed, it is skipped.
_POLL_SECONDS = 60.0
#: Ends a run whose processes keep each other busy for ever.
_MOST_STEPS = 300_000

_process: contextvars.ContextVar[Incarnation] = contextvars.ContextVar("_process")
_Handle = asyncio.Handle


class Stalled(Exception):
    """The run does not end: something goes round in circles, or nothing will ever happen again."""


class Incarnation:
    """One life of a process. Whatever is started in it stops with it."""

    def __init__(self, name: str, loop: VirtualLoop) -> None:
        self.name = name
        self.state: Literal["running", "frozen", "dead"] = "running"
        self.on_death: list[Callable[[], None]] = []
        self.frozen_at = self.revived_at = float("-inf")
        self._loop = loop
        loop.incarnations.append(self)
        self.held: list[_Handle] = []
        self.context = contextvars.Context()
        self.context.run(_process.set, self)

    @property
    def is_alive(self) -> bool:
        """Whether it has not been killed."""
        return self.state != "dead"

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine in this process."""
        return self._loop.create_task(work, context=self.context.copy())

    def soon(self, action: Callable[..., object], *args: object) -> None:
        """Run an action in this process, as its own event loop would."""
        self._loop.call_soon(action, *args, context=self.context.copy())

    def kill(self) -> None:
        """SIGKILL. The world outside notices as far as it can: connections break."""
        if self.is_alive:
            self.state = "dead"
            self.held.clear()
            for notice in self.on_death:
                notice()

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.state == "running":
            self.state, self.frozen_at = "frozen", self._loop.time()

    def revive(self) -> None:
        """SIGCONT."""
        if self.state == "frozen":
            self.state, self.revived_at = "running", self._loop.time()
            self._loop.requeue(self.held)
            self.held = []


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs what is ready in order, then jumps to what is due next.

    `idle` says whether polling may be skipped, `on_skip` hears until when.
    """

    def __init__(self) -> None:
        self.idle: Callable[[], bool] = lambda: False
        self.on_skip: Callable[[float], object] = lambda _: None
        self.steps = 0
        self.tasks: list[asyncio.Task[Any]] = []
        self.incarnations: list[Incarnation] = []
        self._now = 0.0
        self._ready: deque[_Handle] = deque()
        self._order = 0
        self._events: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._polls: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._polls_shift = 0.0

    # -- what asyncio asks of a loop

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._order += 1
        if when - self._now < _POLL_SECONDS and _process in handle._context:  # type: ignore[attr-defined]
            heapq.heappush(self._polls, (when - self._polls_shift, self._order, handle))
        else:
            heapq.heappush(self._events, (when, self._order, handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        # A wait too short for the clock's last digit must pass all the same.
        return self.call_at(self._now + max(delay, 1e-6), callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.tasks.append(task)
        if len(self.tasks) > 2_000:
            self.tasks = [each for each in self.tasks if not each.done()]
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore it: what a process does about its failures is its own matter, what comes of it is checked."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing: it is skipped when it is due."""

    # -- the world's own

    def later(self, seconds: float, action: Callable[..., object], *args: object) -> asyncio.TimerHandle:
        """Let something happen outside every process."""
        return self.call_at(self._now + seconds, action, *args, context=contextvars.Context())

    def requeue(self, handles: list[_Handle]) -> None:
        """Run these next."""
        self._ready.extend(handles)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until the coroutine has returned; then end everything else without running any of it."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main, context=contextvars.Context())
            while not task.done():
                self._run_ready()
                if not task.done():
                    self._advance()
            return task.result()
        finally:
            self._bury()
            asyncio._set_running_loop(None)

    def _run_ready(self) -> None:
        ready = self._ready
        while ready:
            handle = ready.popleft()
            if handle._cancelled:
                continue
            context = handle._context  # type: ignore[attr-defined]
            process = context.get(_process)
            if process is not None and process.state != "running":
                if process.state == "frozen":
                    process.held.append(handle)
                continue
            self.steps += 1
            context.run(handle._callback, *handle._args)  # type: ignore[attr-defined]
        if self.steps > _MOST_STEPS:
            raise Stalled(f"still busy after {self._now:.0f} simulated seconds")

    def _advance(self) -> None:
        """Move on to the next timer; over polling that would find nothing, straight to the next event."""
        polls, events = self._polls, self._events
        while polls and polls[0][2]._cancelled:
            heapq.heappop(polls)
        while events and events[0][2]._cancelled:
            heapq.heappop(events)
        poll_at = polls[0][0] + self._polls_shift if polls else float("inf")
        event_at = events[0][0] if events else float("inf")
        if poll_at == event_at == float("inf"):
            raise Stalled("nothing will ever happen again: everybody waits for somebody")
        if poll_at + 1.0 < event_at < float("inf") and self.idle():
            self._polls_shift += event_at - self._now
            poll_at += event_at - self._now
            self.on_skip(event_at)
        if poll_at < event_at:
            self._now = max(self._now, poll_at)
            self._ready.append(heapq.heappop(polls)[2])
        else:
            self._now = max(self._now, event_at)
            self._ready.append(heapq.heappop(events)[2])

    def _bury(self) -> None:
        """Unwind what still waits, so that nothing of it happens in a later run."""
        self._ready.clear()
        for incarnation in self.incarnations:
            incarnation.state = "dead"
        while self.tasks:  # a `finally` may begin more
            task = self.tasks.pop()
            if not task.done():
                with suppress(BaseException):
                    task.get_coro().close()
        self.incarnations.clear()
        self._ready.clear()
        self._polls.clear()
        self._events.clear()


class LoopClock:
    """The Clock port of one incarnation; its wall clock may be wrong by `skew` seconds."""

    def __init__(self, loop: VirtualLoop, epoch: float) -> None:
        self._loop = loop
        self._epoch = epoch
        self.skew = 0.0

    def now(self) -> float:
        return self._epoch + self._loop.time() + self.skew

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
