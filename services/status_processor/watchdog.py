"""Ends a process that is alive but has silently lost its consumer group.

Its only criterion is membership: a zombie keeps its assignment, and a healthy standby has none. It is a plain thread,
because Faust's timers do not run before the first assignment, which may be what never comes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import structlog

from services.status_processor.exit_codes import ExitCode

log = structlog.get_logger()

#: Longer than the session and the rebalance timeout: a newcomer waits for a dead member without a generation.
LIMIT_SECONDS = 90.0
_LOOK_SECONDS = 1.0
NO_MEMBER = -1


class Watchdog:
    """Judges the generation that it is shown; `start` shows it one every second."""

    def __init__(
        self,
        generation: Callable[[], int],
        *,
        end: Callable[[int], object] = os._exit,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generation = generation
        self._end = end
        self._monotonic = monotonic
        self._member_at = monotonic()
        self._stopped = threading.Event()
        self.is_member = False

    def start(self) -> None:
        """Watch from a daemon thread until `stop`."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching: the process is ending anyway."""
        self._stopped.set()

    def run_once(self) -> None:
        """Look once; end the process if it has been no member for too long."""
        now = self._monotonic()
        self.is_member = self._seen() > NO_MEMBER
        if self.is_member:
            self._member_at = now
        elif now - self._member_at > LIMIT_SECONDS:
            log.error("no member of the consumer group any more", limit_seconds=LIMIT_SECONDS)
            self._end(ExitCode.GROUP_LOST)

    def _seen(self) -> int:
        try:
            return self._generation()
        except Exception:  # noqa: BLE001  (whatever keeps us from seeing a generation counts as none)
            return NO_MEMBER

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            self.run_once()
