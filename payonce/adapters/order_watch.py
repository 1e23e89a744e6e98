"""Hears that orders have changed: LISTEN on one connection of its own, inside the loop, no thread.

A notification is only a hint to read again; what is missed while the connection is down is made good by telling every
waiter to read again. The connection also is the loop's own knowledge of whether PostgreSQL answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import structlog
from psycopg2.extensions import POLL_OK, POLL_READ
from psycopg2.extensions import connection as Connection  # noqa: N812  (a class with a lower-case name)
from sqlalchemy import make_url

from payonce import telemetry

CHANNEL = "payonce_orders"
#: A payload of this means: too many orders to name, read again whatever you wait for.
EVERYONE = "*"
_CONNECT_SECONDS = 3.0
_PING_AFTER_SECONDS = 2.0
_PING_SECONDS = 2.0
_RETRY_SECONDS = 0.5
log = structlog.get_logger()


class _Waiter:
    """One waiting request; `changed` returns at once if something happened since it was last called."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def changed(self) -> None:
        await self.event.wait()
        self.event.clear()


class OrderWatch:
    """Wakes waiters whose order has changed. Run `run` as a task of the loop that waits."""

    def __init__(self, database_url: str, *, application_name: str = "checkout_api watch") -> None:
        url = make_url(database_url).set(drivername="postgresql")
        self._dsn = url.render_as_string(hide_password=False)
        self._application_name = application_name
        self._waiters: dict[str, set[_Waiter]] = {}
        self._healthy = False

    @property
    def healthy(self) -> bool:
        """Whether PostgreSQL answered within the last few seconds."""
        return self._healthy

    @contextmanager
    def waiter(self, order_id: str) -> Iterator[_Waiter]:
        """Register a waiter for the time of the block. Register before you read, or a change is missed."""
        waiter = _Waiter()
        self._waiters.setdefault(order_id, set()).add(waiter)
        telemetry.waiting_requests.inc()
        try:
            yield waiter
        finally:
            telemetry.waiting_requests.dec()
            self._waiters[order_id].discard(waiter)
            if not self._waiters[order_id]:
                del self._waiters[order_id]

    async def run(self) -> None:
        """Listen until cancelled; connect again whenever the connection is lost."""
        while True:
            await self.run_once()
            await asyncio.sleep(_RETRY_SECONDS)

    async def run_once(self) -> None:
        """Listen over one connection until it is lost. Returns then; raises only what is not PostgreSQL's absence."""
        connection: Connection | None = None
        try:
            # Opening resolves the host name, which libpq does with blocking calls even in its asynchronous mode.
            connection = await asyncio.to_thread(self._open)
            async with asyncio.timeout(_CONNECT_SECONDS):
                await _finished(connection)
                await _execute(connection, f"LISTEN {CHANNEL}")
            self._became(healthy=True)
            while True:
                await self._hear(connection)
        except (psycopg2.OperationalError, psycopg2.InterfaceError, TimeoutError) as error:
            if self._healthy:
                log.warning("order_watch_lost", error=str(error).strip())
        finally:
            self._became(healthy=False)
            if connection is not None:
                connection.close()

    def _open(self) -> Connection:
        return psycopg2.connect(self._dsn, async_=1, application_name=self._application_name)

    async def _hear(self, connection: Connection) -> None:
        """Deliver what arrives; after a silence ask for a sign of life, because a dead peer is silent too."""
        try:
            async with asyncio.timeout(_PING_AFTER_SECONDS):
                await _ready(connection.fileno(), POLL_READ)
        except TimeoutError:
            async with asyncio.timeout(_PING_SECONDS):
                await _execute(connection, "SELECT 1")
        else:
            connection.poll()
        for notification in connection.notifies:
            self._wake(notification.payload)
        connection.notifies.clear()

    def _became(self, *, healthy: bool) -> None:
        if healthy == self._healthy:
            return
        self._healthy = healthy
        telemetry.order_watch_up.set(int(healthy))
        self._wake(EVERYONE)

    def _wake(self, payload: str) -> None:
        names = list(self._waiters) if payload == EVERYONE else payload.splitlines()
        for name in names:
            for waiter in self._waiters.get(name, ()):
                waiter.event.set()


async def _execute(connection: Connection, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        await _finished(connection)


async def _finished(connection: Connection) -> None:
    while (state := connection.poll()) != POLL_OK:
        await _ready(connection.fileno(), state)


async def _ready(descriptor: int, state: int) -> None:
    """Wait until the socket can be read (or written, as `state` says)."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_reader, loop.remove_reader) if state == POLL_READ else (loop.add_writer, loop.remove_writer)

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add(descriptor, wake)
    try:
        await ready
    finally:
        remove(descriptor)
