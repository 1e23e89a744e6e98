"""The reconciler's store on the simulated PostgreSQL: ports.ReconcilerStore, with the lock that lives with its session.

What it reads of others' tables is what is committed when the statement arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from payonce.adapters.advisory_locks import Lock
from payonce.adapters.reconciler_statements import EXPIRY_GRACE_SECONDS, LATE_BORN_AGES, UNFINISHED_STATUSES
from payonce.ports import DueOrder, DueRule, StatusAge, WaitingEvent
from tests.simulation.database import Database
from tests.simulation.fold_tables import FOREIGN, ORDERS, PARKED, PARKED_SINCE, TIMELINE, UPDATED_AT
from tests.simulation.ledger_tables import REGISTRATIONS
from tests.simulation.network import Network
from tests.simulation.scheduler import Incarnation

T = TypeVar("T")
WATERMARKS = "reconcile_watermark"
#: Due times of what has no session although it was, or may have been, asked for.
_SESSIONLESS_STATES = frozenset({"unknown", "failed", "cancelled"})


class SimulatedReconcilerStore:
    """Implements ports.ReconcilerStore for one incarnation."""

    def __init__(self, database: Database, network: Network, owner: Incarnation) -> None:
        self._database = database
        self._network = network
        self._owner = owner

    async def acquire(self) -> bool:
        return await self._network.call(
            self._owner, lambda: self._database.try_session_lock(self._owner, Lock.RECONCILER)
        )

    async def watermark(self, task: str) -> int | None:
        def read() -> int | None:
            done: int | None = self._table(WATERMARKS).get(task)
            return done

        return await self._locked(read)

    async def advance(self, task: str, until: int) -> None:
        def write() -> None:
            self._database.tables.setdefault(WATERMARKS, {})[task] = until

        await self._locked(write)

    async def unknown_events(self, events: Mapping[str, int]) -> set[str]:
        def read() -> set[str]:
            folded, waiting = self._table(TIMELINE), self._table(PARKED)
            return {name for name, created in events.items() if (name, created) not in folded and name not in waiting}

        return await self._locked(read)

    async def due_orders(self, rules: Sequence[DueRule], *, after: int, until: int, limit: int) -> Sequence[DueOrder]:
        def read() -> list[DueOrder]:
            latest: dict[str, tuple[int, str]] = {}
            for order_id, due_at, reason in [*self._due(rules), *self._late_born(after)]:
                if after < due_at <= until:
                    latest[order_id] = max(latest.get(order_id, (0, "")), (due_at, reason))
            due = [DueOrder(name, *when, self._tokens(name)) for name, when in latest.items()]
            return _with_ties(sorted(due, key=lambda each: (each.due_at, each.order_id)), limit)

        return await self._locked(read)

    async def due_waiting(self, ages: Sequence[int], *, after: int, until: int, limit: int) -> Sequence[WaitingEvent]:
        def read() -> list[WaitingEvent]:
            since = self._table(PARKED_SINCE)
            due = []
            for event_id, event in sorted(self._table(PARKED).items()):
                times = [
                    since[event_id] // 1000 + age for age in ages if after < since[event_id] // 1000 + age <= until
                ]
                if times:
                    due.append(WaitingEvent(event_id, event.references, max(times)))
            return _with_ties(sorted(due, key=lambda each: each.due_at), limit)

        return await self._locked(read)

    async def remember_foreign(self, psp_ids: Sequence[str]) -> None:
        def write() -> None:
            self._database.tables.setdefault(FOREIGN, {}).update(dict.fromkeys(psp_ids, True))

        await self._locked(write)

    async def ages(self, stuck_after: Mapping[str, int]) -> Sequence[StatusAge]:
        return await self._locked(list)

    def _due(self, rules: Sequence[DueRule]) -> Iterator[tuple[str, int, str]]:
        since = self._table(UPDATED_AT)
        for order_id, (_, columns, _) in self._table(ORDERS).items():
            status = columns["payment_order_status"]
            if status in UNFINISHED_STATUSES:
                ages = [age for rule in rules if rule.status == status for age in rule.ages]
                yield from ((order_id, since[order_id] // 1000 + age, status) for age in ages)
                if columns["page_expires_at"] is not None:
                    yield order_id, columns["page_expires_at"] + EXPIRY_GRACE_SECONDS, "expiry"

    def _late_born(self, after: int) -> Iterator[tuple[str, int, str]]:
        for row in self._table(REGISTRATIONS).values():
            ends_at = row.expires_at + EXPIRY_GRACE_SECONDS
            if row.session_id is None and row.state in _SESSIONLESS_STATES and ends_at > after:
                for due_at in (*(int(row.last_try_at) + age for age in LATE_BORN_AGES), ends_at):
                    yield row.order_id, due_at, "late_born"

    def _tokens(self, order_id: str) -> tuple[str, ...]:
        row = self._table(ORDERS).get(order_id)
        return (row[1]["psp_token"],) if row is not None and row[1]["psp_token"] else ()

    def _table(self, name: str) -> Mapping[Any, Any]:
        return self._database.tables.get(name, {})

    async def _locked(self, effect: Callable[[], T]) -> T:
        def checked() -> T:
            self._database.require_session_lock(self._owner, Lock.RECONCILER)
            return effect()

        return await self._network.call(self._owner, checked)


def _with_ties(due: list[Any], limit: int) -> list[Any]:
    """As FETCH FIRST ... WITH TIES."""
    return due if len(due) <= limit else [each for each in due if each.due_at <= due[limit - 1].due_at]
