"""Brokers and PostgreSQL under supervision: what ends is started again, as compose or Kubernetes would.

A fault may hold a server down for a while; nothing else keeps it from coming back, whatever ended it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Protocol, Self

import psutil

from sandbox.chaos.waiting import wait_for
from sandbox.stack import StackError

_LOOK_SECONDS = 0.2
_AGAIN_SECONDS = 1.0
READY_SECONDS = 120.0
"""A server that is not back by then is not coming back by itself: the run ends."""


class Server(Protocol):
    """A server of the stack: `start` blocks until it is ready and does nothing if it runs."""

    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...
    def kill(self) -> None: ...


class Keeper:
    """Keeps one server running in a thread of its own. `take_down` and `freeze` block for as long as it is away."""

    def __init__(self, name: str, server: Server, is_well: Callable[[], bool], say: Callable[[str], None]) -> None:
        """`is_well` tells whether the server does its whole work again, not only answers."""
        self.name = name
        self._server = server
        self._is_well = is_well
        self._say = say
        self._held = False
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"keeper {name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def take_down(self, end: Callable[[], None], seconds: float) -> None:
        """End the server with `end`, keep it down for so long, and return when it is well again. Raises Overdue."""
        with self._lock:
            self._held = True
            end()
        try:
            time.sleep(seconds)
        finally:
            self._held = False
        self.wait_well()

    def kill(self, seconds: float) -> None:
        """SIGKILL, and down for so long. Raises Overdue."""
        self.take_down(self._server.kill, seconds)

    def freeze(self, seconds: float) -> None:
        """Stop it and its children for so long. Raises Overdue when it is not well afterwards."""
        frozen = freeze_tree(self._server.pid)
        try:
            time.sleep(seconds)
        finally:
            thaw(frozen)
        self.wait_well()

    def wait_well(self) -> None:
        """Block until it is well. Raises Overdue."""
        wait_for(lambda: self._server.pid is not None and self._is_well(), f"{self.name} is well", READY_SECONDS)

    def run_once(self) -> bool:
        """Start it if it is down and nobody holds it; return False if it would not start."""
        with self._lock:
            if self._held or self._server.pid is not None:
                return True
            try:
                self._server.start()
            except StackError as error:
                self._server.kill()
                self._say(f"{self.name} would not start: {error}")
                return False
        return True

    def _run(self) -> None:
        well = True
        while not self._stopping.wait(_LOOK_SECONDS if well else _AGAIN_SECONDS):
            well = self.run_once()


def freeze_tree(pid: int | None) -> list[psutil.Process]:
    """SIGSTOP a process, then its descendants; return those that were stopped, for `thaw`."""
    if pid is None:
        return []
    frozen: list[psutil.Process] = []
    try:
        parent = psutil.Process(pid)
        _send(parent, signal.SIGSTOP)
        frozen = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    for process in frozen[1:]:
        _send(process, signal.SIGSTOP)
    return frozen


def thaw(processes: list[psutil.Process]) -> None:
    """SIGCONT; those that have ended meanwhile are no trouble."""
    for process in processes:
        _send(process, signal.SIGCONT)


def _send(process: psutil.Process, number: Literal[signal.Signals.SIGSTOP, signal.Signals.SIGCONT]) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
