"""Free loopback ports that stay ours while a server is down.

Ports come from below the kernel's ephemeral range: a client that retries a closed ephemeral port on loopback
can be given that very port as its own and connect to itself, and then the restarted server cannot bind.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO

from sandbox.stack.cache import Cache, try_lock
from sandbox.stack.errors import PortTaken

LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_768)
"""Linux hands out 32768 and above, macOS 49152 and above."""

Detour = Callable[[str, int], int]
"""Takes a server's name and its port, gives the port that clients shall use instead: the way through a proxy."""


class PortLease:
    """Ports that no other stack of this user takes until `release`; freed when the process ends."""

    def __init__(self, cache: Cache) -> None:
        self._folder = cache.path("ports")
        self._folder.mkdir(exist_ok=True)
        self._held = ExitStack()

    def take(self) -> int:
        """Lease one port on which nobody listens. Raises PortTaken if a thousand tries found none."""
        for _ in range(1_000):
            port = random.choice(PORTS)
            file = (self._folder / str(port)).open("a")
            if self._usable(file, port):
                self._held.enter_context(file)
                return port
            file.close()
        raise PortTaken(f"no free port between {PORTS.start} and {PORTS.stop - 1} on {LOOPBACK}")

    def release(self) -> None:
        """Give all ports back. Idempotent."""
        self._held.close()

    @staticmethod
    def _usable(file: IO[str], port: int) -> bool:
        return try_lock(file.fileno()) and is_free(port)


def is_free(port: int) -> bool:
    """Tell whether a server could bind the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: a connection in TIME_WAIT does not make the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def answers(port: int, timeout_seconds: float = 0.5) -> bool:
    """Tell whether something accepts connections on the loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False


def require_free(port: int, server: str) -> None:
    """Raise PortTaken if another process listens where `server` must."""
    if not is_free(port):
        raise PortTaken(f"{server} cannot listen on {LOOPBACK}:{port}: another process does")
