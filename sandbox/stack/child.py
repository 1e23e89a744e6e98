"""One child process: started in a session of its own, watched by a guard, its output in a log file.

Knows nothing of restarting, which is the supervisor's, or of readiness, which each server defines.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from sandbox.stack.errors import StartFailed
from sandbox.stack.guard import TOKEN_VARIABLE, Guard, still_running

POLL_SECONDS = 0.02


class Child:
    """A running or ended process. All methods are thread-safe."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        guard: Guard,
        gentle: signal.Signals = signal.SIGTERM,
        user: tuple[int, int] | None = None,
    ) -> None:
        """Start it at once. `gentle` is what the guard sends first; `user` is (uid, gid), only for root."""
        self.log = log
        self.cpu_seconds_at_end: float | None = None
        self._guard = guard
        self._lock = threading.Lock()
        self._process = _spawn(argv, {**env, TOKEN_VARIABLE: guard.token}, log, user)
        try:
            guard.watch(self._process.pid, gentle)
        except OSError:
            self._process.kill()
            self._process.wait()
            raise

    @property
    def pid(self) -> int:
        """Of the process, also after its end."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it. Reaps; does not block."""
        with self._lock:
            if self._process.returncode is None:
                # wait4 and not poll: it also tells the CPU time of the process and of its reaped children.
                pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
                if pid:
                    self._process.returncode = os.waitstatus_to_exitcode(status)
                    self.cpu_seconds_at_end = usage.ru_utime + usage.ru_stime
                    self._forget()
            return self._process.returncode

    def cpu_seconds(self) -> float:
        """CPU time, user and system, of the process and its descendants so far."""
        if self.exit_code() is None:
            try:
                process = psutil.Process(self.pid)
                return sum(_cpu_seconds(each) for each in (process, *process.children(recursive=True)))
            except psutil.NoSuchProcess:
                self.wait(1.0)
        return self.cpu_seconds_at_end or 0.0

    def send(self, number: int) -> None:
        """Send a signal; nothing happens if it has ended."""
        with self._lock:
            if self._process.returncode is None:
                os.kill(self._process.pid, number)  # not reaped yet, so the pid is still ours

    def wait(self, timeout_seconds: float) -> bool:
        """Block until it has ended, at most so long; True if it has."""
        deadline = time.monotonic() + timeout_seconds
        while self.exit_code() is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def kill(self) -> None:
        """SIGKILL it and its descendants; block until all are gone."""
        descendants: list[psutil.Process] = []
        if self.exit_code() is None:
            try:
                descendants = psutil.Process(self.pid).children(recursive=True)
            except psutil.NoSuchProcess:
                descendants = []
        self.send(signal.SIGKILL)
        for process in descendants:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.wait(10.0)
        still_running(descendants, 10.0)

    def stop(self, number: int, timeout_seconds: float) -> None:
        """Send `number`, wait, and kill what has not ended by then."""
        self.send(number)
        if not self.wait(timeout_seconds):
            self.kill()

    def _forget(self) -> None:
        try:
            self._guard.forget(self._process.pid)
        except OSError:
            return  # the guard is closed and has no list any more


def wait_until(ready: Callable[[], bool], child: Child, name: str, deadline_seconds: float) -> None:
    """Poll `ready`. Raises StartFailed with the log's tail if the child ends or the deadline passes."""
    deadline = time.monotonic() + deadline_seconds
    while not ready():
        code = child.exit_code()
        if code is not None:
            raise StartFailed(f"{name} ended with {code} while starting\n{log_tail(child.log)}")
        if time.monotonic() > deadline:
            raise StartFailed(f"{name} did not answer within {deadline_seconds:g} s\n{log_tail(child.log)}")
        time.sleep(POLL_SECONDS)


def log_tail(log: Path, lines: int = 30, limit_bytes: int = 16_384) -> str:
    """Return the last lines of a log, headed by its path."""
    if not log.exists():
        return f"(no log at {log})"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - limit_bytes))
        text = file.read().decode(errors="replace")
    return "\n".join([f"--- end of {log}", *text.splitlines()[-lines:]])


def _spawn(
    argv: Sequence[str], env: Mapping[str, str], log: Path, user: tuple[int, int] | None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            list(argv),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user[0] if user else None,
            group=user[1] if user else None,
            extra_groups=[] if user else None,
            cwd="/" if user else None,  # that user may be unable to enter ours
        )


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
