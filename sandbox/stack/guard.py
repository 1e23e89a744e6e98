"""Ends the children, and removes the folders, of a process that was killed.

A second small process holds the read end of a pipe. When its parent ends in any way, SIGKILL included, the
kernel closes the pipe and the guard does what is left to do. (A parent-death signal will not do: it fires when
the *thread* that forked ends, and only Linux has it.) It never touches a process it was not told of.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

TOKEN_VARIABLE = "PAYONCE_GUARD"
GRACE_SECONDS = 3.0
"""Between the gentle signal and SIGKILL: a Python service closes its consumer in this time."""


class Guard:
    """The parent's side. Thread-safe; `close` ends whatever is still registered."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).resolve()), self.token, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # Inside a guarded process: the outer guard must not end this one before it has done its work.
            env={name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE},
            start_new_session=True,  # a Ctrl-C on the terminal is for the parent
        )

    def watch(self, pid: int, gentle: signal.Signals) -> None:
        """End `pid` when this process ends, with the signal `gentle` first. Raises OSError after `close`."""
        self._tell(f"watch {pid} {gentle.value} {psutil.Process(pid).create_time()!r}")

    def forget(self, pid: int) -> None:
        """Stop watching `pid`, which has ended and was reaped."""
        self._tell(f"forget {pid}")

    def remove(self, folder: Path) -> None:
        """Remove `folder` when this process ends."""
        self._tell(f"remove {folder}")

    def close(self) -> None:
        """End the guard, and with it every child still watched. Blocks until done. Idempotent."""
        with self._lock, suppress(BrokenPipeError):  # it was killed: there is nothing left to close
            if self._process.stdin:
                self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._process.stdin is None or self._process.stdin.closed:
                raise BrokenPipeError("the guard is closed: nothing may be started any more")
            try:
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError as error:
                raise BrokenPipeError(f"the guard has ended with {self._process.poll()}") from error


class _Watch:
    """The guard process's side: what it was told so far."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._children: dict[int, tuple[signal.Signals, float]] = {}
        self._folders: list[Path] = []

    def hear(self, line: str) -> None:
        """Take one line of the parent in."""
        verb, _, rest = line.partition(" ")
        if verb == "watch":
            pid, gentle, born = rest.split()
            self._children[int(pid)] = (signal.Signals(int(gentle)), float(born))
        elif verb == "forget":
            self._children.pop(int(rest), None)
        elif verb == "remove":
            self._folders.append(Path(rest))

    def finish(self) -> None:
        """End everything, then remove the folders."""
        doomed = self._processes()
        for process, gentle in doomed.items():
            _signal(process, gentle)
        for process in still_running(doomed, GRACE_SECONDS):
            _signal(process, signal.SIGKILL)
        still_running(doomed, GRACE_SECONDS)
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _processes(self) -> dict[psutil.Process, signal.Signals]:
        # A process that was forked but not yet registered when the parent died carries the token in its
        # environment; so do grandchildren. The table wins: it knows the right signal.
        found = {process: signal.SIGTERM for process in psutil.process_iter() if self._is_ours(process)}
        for pid, (gentle, born) in self._children.items():
            try:
                process = psutil.Process(pid)
                if abs(process.create_time() - born) < 1.0:  # else the pid was given to another process
                    found[process] = gentle
            except psutil.NoSuchProcess:
                continue
        return found

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(TOKEN_VARIABLE) == self._token
        except (psutil.Error, OSError):
            return False


def still_running(processes: Iterable[psutil.Process], timeout_seconds: float) -> list[psutil.Process]:
    """Wait until all have ended, at most so long; give those that have not. Zombies have ended.

    psutil's own wait counts a zombie as alive, and init may take a second to reap an orphan.
    """
    deadline = time.monotonic() + timeout_seconds
    alive = list(processes)
    while alive := [process for process in alive if _is_alive(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def main(token: str, parent: int) -> None:
    """Listen until the pipe closes or the parent is gone, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch = _Watch(token)
    rest = b""
    # A fork of the parent that never executed another program would keep the pipe open: hence the second test.
    while os.getppid() == parent:
        if not select.select([sys.stdin.fileno()], [], [], 1.0)[0]:
            continue
        chunk = os.read(sys.stdin.fileno(), 65_536)
        if not chunk:
            break
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            watch.hear(line.decode())
    watch.finish()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
