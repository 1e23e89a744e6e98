"""One PostgreSQL server as a child process on loopback TCP: start, stop, kill -9, restart on the same folder.

No socket, no password (trust, loopback only), fsync on: a killed server loses nothing it confirmed.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sandbox.stack.child import Child, wait_until
from sandbox.stack.guard import Guard
from sandbox.stack.ports import LOOPBACK, answers, require_free
from sandbox.stack.postgres_install import DATABASE, PostgresInstall, server_env

START_SECONDS = 60.0
STOP_SECONDS = 10.0

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "on",
    "synchronous_commit": "on",
    "log_min_messages": "warning",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "shared_buffers": "64MB",
}

STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


@dataclass(slots=True)
class Postgres:
    """The server. `start` and `stop` block and are idempotent; `kill` is a power cut of the process."""

    port: int
    folder: Path
    install: PostgresInstall
    guard: Guard
    _child: Child | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database, for psycopg2."""
        return f"postgresql+psycopg2://{DATABASE}@{LOOPBACK}:{self.port}/{DATABASE}"

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    @property
    def pid(self) -> int | None:
        """None while it is down."""
        return self._child.pid if self._child and self._child.exit_code() is None else None

    def start(self) -> None:
        """Start and wait until the database answers a query. Raises StartFailed or PortTaken."""
        if self.pid is not None:
            return
        require_free(self.port, "PostgreSQL")
        data = self.folder / "data"
        if not data.exists():
            # The server's user passes through; only the data folder is that user's.
            self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            self.install.copy_template(data)
        settings = [word for pair in (SETTINGS | {"port": str(self.port)}).items() for word in ("-c", "=".join(pair))]
        self._child = Child(
            [self.install.program("postgres"), "-D", str(data), *settings],
            env=server_env(),
            log=self.log,
            guard=self.guard,
            # SIGKILL would leave its shared memory behind; this is as quick and does not.
            gentle=signal.SIGQUIT,
            user=self.install.user,
        )
        wait_until(self._is_ready, self._child, "PostgreSQL", START_SECONDS)

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it: `fast` rolls back and writes a checkpoint, `immediate` leaves recovery to the next start."""
        if self._child:
            self._child.stop(STOP_SIGNALS[mode], STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL the server and its workers; returns when all are gone."""
        if self._child:
            self._child.kill()

    def _is_ready(self) -> bool:
        return answers(self.port) and accepts_queries(self.port)


def accepts_queries(port: int, timeout_seconds: int = 2) -> bool:
    """Tell whether the database answers a query now."""
    import psycopg2

    try:
        connection = psycopg2.connect(
            host=LOOPBACK, port=port, user=DATABASE, dbname=DATABASE, connect_timeout=timeout_seconds
        )
    except psycopg2.OperationalError:
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone() == (1,)
    except psycopg2.OperationalError:
        return False
    finally:
        connection.close()
