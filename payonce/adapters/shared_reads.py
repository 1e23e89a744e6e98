"""Reads that come while a query runs are answered together by the next one.

So a crowd of waiting requests costs one query, one thread and one connection. A read never begins before it was asked
for: whoever asks meanwhile is answered by the next query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection

from payonce.adapters.postgres import Database, DatabaseThread
from payonce.ports import StoreUnavailable

T = TypeVar("T")
Found = TypeVar("Found")

#: A reader would rather hear "away" than wait longer.
_STATEMENT_MS = 1_000
_ANSWER_SECONDS = 2.0
_BATCH_LIMIT = 500


class SharedReads(Generic[T]):
    """Reads orders as they are committed. Belongs to one loop."""

    def __init__(
        self,
        database_url: str,
        select: Callable[[Connection, Sequence[str]], Mapping[str, T]],
        *,
        application_name: str,
        batch_limit: int = _BATCH_LIMIT,
    ) -> None:
        self._select = select
        self._batch_limit = batch_limit
        self._database = Database(
            database_url, application_name=application_name, pool_size=1, statement_timeout_ms=_STATEMENT_MS
        )
        self._thread = DatabaseThread(self._database)
        self._asked: dict[str, asyncio.Future[T | None]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def order(self, order_id: str) -> T | None:
        """Return the order as it is committed now, None if it is not folded yet. Raises StoreUnavailable within 2 s."""
        answer = self._asked.get(order_id)
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            answer.add_done_callback(_taken)
            self._asked[order_id] = answer
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_all())
        return await _in_time(answer)

    async def close(self) -> None:
        """Wait for the running query, then close the connection."""
        if self._reader is not None:
            await self._reader
        await asyncio.to_thread(self._thread.close)
        self._database.dispose()

    async def _run(self, work: Callable[[Connection], Found]) -> Found:
        """Return the result of a query of its own. Raises StoreUnavailable within 2 s."""
        running = asyncio.ensure_future(self._thread.run(work))
        running.add_done_callback(_taken)
        return await _in_time(running)

    async def _read_all(self) -> None:
        try:
            while self._asked:
                await self._read_once()
        finally:
            self._reader = None

    async def _read_once(self) -> None:
        """Answer what has been asked up to now."""
        batch = {order_id: self._asked.pop(order_id) for order_id in list(self._asked)[: self._batch_limit]}
        try:
            found = await self._thread.run(lambda connection: self._select(connection, sorted(batch)))
        except Exception as error:  # noqa: BLE001  (handed to everyone who asked; bugs surface there)
            for answer in batch.values():
                answer.set_exception(error)
            return
        for order_id, answer in batch.items():
            answer.set_result(found.get(order_id))


async def _in_time(answer: asyncio.Future[Found]) -> Found:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await asyncio.shield(answer)
    except TimeoutError as error:
        raise StoreUnavailable(f"no answer from PostgreSQL within {_ANSWER_SECONDS} s") from error


def _taken(answer: asyncio.Future[Found]) -> None:
    """Mark a failure as seen: everyone who asked may have stopped waiting."""
    if not answer.cancelled():
        answer.exception()
