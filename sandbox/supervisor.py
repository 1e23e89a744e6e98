"""Keeps service processes running: starts them, starts them again when they end, and ends them.

The sandbox's stand-in for compose or Kubernetes. It decides nothing about a service but whether it should run;
a service that keeps ending is started again for ever, ever more slowly, and says why in its log.
"""

from __future__ import annotations

import os
import signal as signals
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from sandbox.stack.child import Child, log_tail
from sandbox.stack.guard import Guard

POLL_SECONDS = 0.02
PROBE_SECONDS = 2.0
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 5.0
STEADY_SECONDS = 10.0
"""A process that ran so long was well: the next restart is quick again."""
ENDS_TOO_OFTEN = 3
"""A process that ended so often while somebody waits for it to become ready is not going to."""
READY_SECONDS = 180.0
"""Where no bytecode is kept, a process compiles all that it imports: seconds of a core, and seven start at once."""
GENTLE_SECONDS = 30.0
"""Longer than any service takes to end: the status processor gives itself 20 s, the worker 11 s."""


class ProcessFailed(Exception):
    """A supervised process did not become ready: the tail of its log says why."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run. `env` is added to the supervisor's own environment; `ready_url` (http) answers 200 when ready."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    restart: bool = True
    ready_url: str | None = None


@dataclass(slots=True)
class _Service:
    spec: ProcessSpec
    child: Child | None = None
    wanted: bool = True
    ends: int = 0
    last_end: str = ""
    restarts: int = 0
    quick_ends: int = 0
    started_at: float = 0.0
    due_at: float = 0.0
    cpu_seconds: float = 0.0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def running(self) -> Child | None:
        return self.child if self.child and self.child.exit_code() is None else None


class Supervisor:
    """Thread-safe. Every child dies with this process, SIGKILL included. Also a context manager."""

    def __init__(self, log_folder: Path, on_event: Callable[[str], None] | None = None) -> None:
        self._log_folder = log_folder
        self._on_event: Callable[[str], None] = on_event or (lambda _: None)
        self._services: dict[str, _Service] = {}
        self._lock = threading.Lock()
        self._guard: Guard | None = None
        self._monitor: threading.Thread | None = None
        self._ending = threading.Event()

    def start(self, spec: ProcessSpec) -> None:
        """Start a process and return at once.

        Raises ValueError if one of that name is supervised already, OSError if it cannot be executed.
        """
        with self._lock:
            known = self._services.get(spec.name)
            if known and (known.wanted or known.running()):
                raise ValueError(f"{spec.name} is running already")
            guard = self._begin()
            service = self._services[spec.name] = _Service(spec)
        with service.lock:
            self._spawn(service, guard)

    def wait_ready(self, name: str, deadline_seconds: float = READY_SECONDS) -> None:
        """Block until `ready_url` answers 200 (without one: until the process runs).

        Raises ProcessFailed with the log's tail after the deadline, or at once if the process keeps ending.
        """
        service = self._services[name]
        deadline = time.monotonic() + deadline_seconds
        ends_before = service.ends
        while not (service.running() and _answers_ok(service.spec.ready_url)):
            ends = service.ends - ends_before
            hopeless = ends >= ENDS_TOO_OFTEN or (service.running() is None and not self._will_run(service))
            if hopeless or time.monotonic() > deadline:
                why = (
                    f"ended {ends} times, last with {service.last_end}"
                    if hopeless
                    else f"was not ready within {deadline_seconds:g} s"
                )
                raise ProcessFailed(f"{name} {why}\n{log_tail(self.log_path(name))}")
            time.sleep(POLL_SECONDS)

    def kill(self, name: str, signal: int = signals.SIGKILL) -> int:
        """Send `signal` and give the pid it went to; the end that follows is an unexpected one.

        Returns when the process is gone for SIGKILL, at once for others. Raises ProcessLookupError if it is down.
        """
        child = self._services[name].running()
        if child is None:
            raise ProcessLookupError(f"{name} is not running")
        child.send(signal)
        if signal == signals.SIGKILL:
            child.wait(PROBE_SECONDS)
        return child.pid

    def stop(self, name: str, timeout_seconds: float = GENTLE_SECONDS) -> None:
        """SIGTERM, SIGKILL after the timeout; no restart. Blocks until it is gone. Idempotent."""
        service = self._services[name]
        with service.lock:
            service.wanted = False
            if child := service.running():
                child.stop(signals.SIGTERM, timeout_seconds)
            self._settle(service)
        self._on_event(f"{name} stopped")

    def hold(self, name: str, timeout_seconds: float = GENTLE_SECONDS) -> None:
        """Stop it until `resume`."""
        self.stop(name, timeout_seconds)

    def resume(self, name: str) -> None:
        """Start it again with the same spec; not counted as a restart. Nothing happens if it runs."""
        service = self._services[name]
        guard = self._begin()
        with service.lock:
            if service.running() is None:
                service.wanted, service.quick_ends = True, 0
                self._spawn(service, guard)

    def stop_all(self, timeout_seconds: float = GENTLE_SECONDS) -> None:
        """Stop everything at once, in no order, and the monitor. Blocks; idempotent."""
        self._ending.set()
        if self._monitor:
            self._monitor.join()
        for service in self._services.values():
            service.wanted = False
            if child := service.running():
                child.send(signals.SIGTERM)
        deadline = time.monotonic() + timeout_seconds
        for name in self._services:
            self.stop(name, max(0.0, deadline - time.monotonic()))
        if self._guard:
            self._guard.close()
        self._guard = self._monitor = None

    def pid(self, name: str) -> int | None:
        """None while it is down."""
        child = self._services[name].running()
        return child.pid if child else None

    def restarts(self, name: str) -> int:
        """How often it was started again after an unexpected end."""
        return self._services[name].restarts

    def log_path(self, name: str) -> Path:
        """Where its standard output and error go, all incarnations in one file."""
        return self._log_folder / f"{name}.log"

    def cpu_seconds(self, name: str) -> float:
        """CPU time, user and system, of all its incarnations and their descendants."""
        service = self._services[name]
        with service.lock:
            return service.cpu_seconds + (service.child.cpu_seconds() if service.child else 0.0)

    def run_once(self) -> None:
        """Look at each process once: note the ended, start the due. Does not block."""
        for service in tuple(self._services.values()):
            # A service that is being stopped is held by its stopper: look again next time.
            if service.lock.acquire(blocking=False):
                try:
                    self._settle(service)
                    if self._guard and self._is_due(service):
                        self._restart(service, self._guard)
                finally:
                    service.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def _run(self) -> None:
        while not self._ending.wait(POLL_SECONDS):
            self.run_once()

    def _begin(self) -> Guard:
        if self._guard is None:
            self._log_folder.mkdir(parents=True, exist_ok=True)
            self._guard = Guard()
            self._ending.clear()
            self._monitor = threading.Thread(target=self._run, name="supervisor", daemon=True)
            self._monitor.start()
        return self._guard

    def _spawn(self, service: _Service, guard: Guard) -> None:
        spec = service.spec
        env = {**os.environ, **spec.env}
        service.child = Child(spec.argv, env=env, log=self.log_path(spec.name), guard=guard)
        service.started_at = time.monotonic()
        self._on_event(f"{spec.name} started, pid {service.child.pid}")

    def _restart(self, service: _Service, guard: Guard) -> None:
        service.restarts += 1
        service.started_at = time.monotonic()
        try:
            self._spawn(service, guard)
        except OSError as error:  # its program is being replaced, or the machine is out of processes
            self._note_end(service, str(error))

    def _settle(self, service: _Service) -> None:
        """Put an ended incarnation to the account."""
        child = service.child
        if child is None or (code := child.exit_code()) is None:
            return
        service.child = None
        service.cpu_seconds += child.cpu_seconds()
        if service.wanted:
            self._note_end(service, f"exit code {code}")

    def _note_end(self, service: _Service, how: str) -> None:
        now = time.monotonic()
        service.quick_ends = 1 if now - service.started_at > STEADY_SECONDS else service.quick_ends + 1
        service.due_at = now + backoff_seconds(service.quick_ends)
        service.ends += 1
        service.last_end = how
        self._on_event(f"{service.spec.name} ended: {how}")

    @staticmethod
    def _is_due(service: _Service) -> bool:
        return Supervisor._will_run(service) and service.child is None and time.monotonic() >= service.due_at

    @staticmethod
    def _will_run(service: _Service) -> bool:
        return service.wanted and service.spec.restart


def backoff_seconds(quick_ends: int) -> float:
    """How long to wait before the next start, after so many ends in quick succession."""
    exponent = min(max(0, quick_ends - 1), 10)
    return min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0**exponent)


def _answers_ok(url: str | None) -> bool:
    if url is None:
        return True
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", f"{parts.path or '/'}?{parts.query}".rstrip("?"))
        return connection.getresponse().status == 200  # noqa: PLR2004 OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
