"""Works a plan off: one thread per track, each fault at its time or as soon as the one before it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from sandbox.chaos.faults import Fault, Injected


class Tracks:
    """Runs once. What was injected may be read at any time, from any thread."""

    def __init__(self, inject: Callable[[Fault], None], say: Callable[[str], None]) -> None:
        self._inject = inject
        self._began = time.monotonic()
        self._say = say
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._injected: list[Injected] = []

    @property
    def injected(self) -> tuple[Injected, ...]:
        """What has happened so far, in the order in which it was over."""
        with self._lock:
            return tuple(self._injected)

    def begin(self) -> None:
        """Count the seconds from now."""
        self._began = time.monotonic()

    def since_began(self, monotonic: float) -> float:
        """Convert a reading of `time.monotonic` to seconds from the start of the traffic."""
        return monotonic - self._began

    def run_track(self, faults: Iterable[Fault]) -> None:
        """Block until all are over or `end` was called. Raises what the injection raised."""
        for fault in faults:
            self._ending.wait(max(0.0, fault.at_seconds - self._now()))
            if self._ending.is_set():
                return
            self._one(fault)

    def end(self) -> None:
        """Begin no further fault; those that are under way come to their end."""
        self._ending.set()

    def _one(self, fault: Fault) -> None:
        began = self._now()
        self._say(f"{began:6.1f} s  {fault}")
        self._inject(fault)
        with self._lock:
            self._injected.append(Injected(fault, began, self._now()))

    def _now(self) -> float:
        return self.since_began(time.monotonic())
