"""The clients file on disk: read at start, and again when it has changed. A broken new one locks nobody out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import structlog

from payonce import telemetry
from payonce.ports import Clock
from services.checkout_api.clients import BadClientsFile, Clients, read_clients

#: A change is noticed by the first request at least this long after the last look.
_LOOK_SECONDS = 1.0
_Stamp = tuple[int, int, int]
log = structlog.get_logger()


class ClientsFile:
    """The clients as the file last said. `current` costs one `stat` a second."""

    def __init__(self, path: Path, clock: Clock, environ: Mapping[str, str] = os.environ) -> None:
        """Read the file. Raises BadClientsFile: a process that knows no client must not start."""
        self._path = path
        self._clock = clock
        self._environ = environ
        self._looked_at = clock.monotonic()
        self._stamp = _stamp(path)
        self._clients = self._read()

    def current(self) -> Clients:
        """Return the clients; never raises: while a changed file is broken, the clients before it stay."""
        now = self._clock.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._clients

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._clients = self._read()
        except BadClientsFile as error:
            telemetry.clients_file_broken.set(1)
            log.error("clients_file_broken", path=str(self._path), error=str(error))  # noqa: TRY400  (no traceback)
        else:
            telemetry.clients_file_broken.set(0)
            log.info("clients_file_read", path=str(self._path))

    def _read(self) -> Clients:
        try:
            return read_clients(self._path.read_text(), self._environ)
        except (OSError, UnicodeDecodeError) as error:
            raise BadClientsFile(str(error)) from error


def _stamp(path: Path) -> _Stamp | None:
    """Return what changes when the file does; None while it is missing (an editor or a mount swaps it)."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
