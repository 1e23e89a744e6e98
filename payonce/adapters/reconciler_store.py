"""The reconciler's store in PostgreSQL, behind ports.ReconcilerStore: one reconciler at a time, by a session lock.

Every statement runs on the session that holds the lock and asks for the lock first: a lost connection is a lost lock,
and whoever lost it neither reads nor writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from payonce.adapters import reconciler_statements as sql
from payonce.adapters.advisory_locks import Lock, hold_for_session, is_held
from payonce.adapters.postgres import Database, DatabaseThread
from payonce.ports import DueOrder, DueRule, Mark, StatusAge, StoreUnavailable, WaitingEvent

T = TypeVar("T")


class PostgresReconcilerStore:
    """Implements ports.ReconcilerStore. Needs a Database of its own with one connection: the lock is that session's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = DatabaseThread(database)

    async def acquire(self) -> bool:
        return await self._thread.run(lambda connection: hold_for_session(connection, Lock.RECONCILER))

    async def watermark(self, task: str) -> Mark | None:
        def read(connection: Connection) -> Mark | None:
            row = connection.execute(sql.WATERMARK, {"task": task}).one_or_none()
            return None if row is None else Mark(*row)

        return await self._locked(read)

    async def advance(self, task: str, mark: Mark) -> None:
        parameters = {"task": task, "until": mark.until, "name": mark.name}
        await self._locked(lambda connection: connection.execute(sql.ADVANCE, parameters))

    async def unknown_events(self, events: Mapping[str, int]) -> set[str]:
        def known(connection: Connection) -> set[str]:
            asked = {"ids": list(events), "times": list(events.values())}
            return {event_id for (event_id,) in connection.execute(sql.KNOWN_EVENTS, asked)}

        return set(events) - await self._locked(known)

    async def due_orders(self, rules: Sequence[DueRule], *, after: Mark, until: int, limit: int) -> Sequence[DueOrder]:
        parameters = {
            "reasons": [rule.reason for rule in rules for _ in rule.ages],
            "ages": [age for rule in rules for age in rule.ages],
            "every": [rule.then_every if age == rule.ages[-1] else None for rule in rules for age in rule.ages],
            **_between(after, until, limit),
        }

        def read(connection: Connection) -> list[DueOrder]:
            rows = connection.execute(sql.DUE_ORDERS, parameters)
            return [DueOrder(order_id, due, reason, tuple(psp_ids)) for order_id, due, reason, psp_ids in rows]

        return await self._locked(read)

    async def due_waiting(
        self, ages: Sequence[int], *, after: Mark, until: int, limit: int, payments: bool
    ) -> Sequence[WaitingEvent]:
        parameters = {"ages": list(ages), "payments": payments, **_between(after, until, limit)}

        def read(connection: Connection) -> list[WaitingEvent]:
            rows = connection.execute(sql.DUE_WAITING, parameters)
            return [WaitingEvent(event_id, tuple(psp_ids), due) for event_id, psp_ids, due in rows]

        return await self._locked(read)

    async def remember_foreign(self, psp_ids: Sequence[str]) -> None:
        named = sorted(set(psp_ids))

        def remember(connection: Connection) -> None:
            # Two old ones go for each that comes, so the table does not grow for ever.
            connection.execute(sql.FORGET_FOREIGN, {"days": sql.FOREIGN_DAYS, "limit": 2 * len(named)})
            connection.execute(sql.REMEMBER_FOREIGN, {"psp_ids": named})

        await self._locked(remember)

    async def ages(self, stuck_after: Mapping[str, int]) -> Sequence[StatusAge]:
        parameters = {"statuses": list(stuck_after), "seconds": list(stuck_after.values())}

        def read(connection: Connection) -> list[StatusAge]:
            return [StatusAge(*row) for row in connection.execute(sql.AGES, parameters)]

        return await self._locked(read)

    def close(self) -> None:
        """Wait for the running statement, then give the lock back by closing the connection."""
        self._thread.close()
        self._database.dispose()

    async def _locked(self, work: Callable[[Connection], T]) -> T:
        def checked(connection: Connection) -> T:
            if not is_held(connection, Lock.RECONCILER):
                raise StoreUnavailable("the reconciler's lock went with its connection")
            return work(connection)

        return await self._thread.run(checked)


def _between(after: Mark, until: int, limit: int) -> dict[str, int | str]:
    return {"after": after.until, "name": after.name, "until": until, "limit": limit}
