"""The reconciler's store on the simulated PostgreSQL: ports.ReconcilerStore, with the lock that lives with its session.

What it reads of others' tables is what is committed when the statement arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from payonce.adapters.advisory_locks import Lock
from payonce.adapters.reconciler_statements import UNFINISHED_STATUSES
from payonce.domain.belonging import names_only_a_payment
from payonce.ports import DueOrder, DueRule, Mark, StatusAge, WaitingEvent
from services.psp_worker.outcome import may_be_born_late
from tests.fakes.reconciler_dues import appeal_begins, due_times
from tests.simulation.database import Database
from tests.simulation.fold_tables import FOREIGN, ORDERS, PARKED, PARKED_SINCE, STATUS_SINCE, TIMELINE, UPDATED_AT
from tests.simulation.ledger_tables import REGISTRATIONS
from tests.simulation.network import Network
from tests.simulation.scheduler import Incarnation

T = TypeVar("T")
WATERMARKS = "reconcile_watermark"


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

    async def watermark(self, task: str) -> Mark | None:
        def read() -> Mark | None:
            done: Mark | None = self._table(WATERMARKS).get(task)
            return done

        return await self._locked(read)

    async def advance(self, task: str, mark: Mark) -> None:
        def write() -> None:
            self._database.tables.setdefault(WATERMARKS, {})[task] = mark

        await self._locked(write)

    async def unknown_events(self, events: Mapping[str, int]) -> set[str]:
        def read() -> set[str]:
            folded, waiting = self._table(TIMELINE), self._table(PARKED)
            return {name for name, created in events.items() if (name, created) not in folded and name not in waiting}

        return await self._locked(read)

    async def due_orders(self, rules: Sequence[DueRule], *, after: Mark, until: int, limit: int) -> Sequence[DueOrder]:
        def read() -> list[DueOrder]:
            known = {rule.reason: rule for rule in rules}
            latest: dict[str, tuple[int, str]] = {}
            for order_id, due_at, reason in [*self._due(known, until), *self._late_born(known, until)]:
                if after.until < due_at <= until:
                    latest[order_id] = max(latest.get(order_id, (0, "")), (due_at, reason))
            due = [DueOrder(name, *when, self._psp_ids(name)) for name, when in latest.items()]
            left = [each for each in due if after.leaves(each.due_at, each.order_id)]
            return sorted(left, key=lambda each: (each.due_at, each.order_id))[:limit]

        return await self._locked(read)

    async def due_waiting(
        self, ages: Sequence[int], *, after: Mark, until: int, limit: int, payments: bool
    ) -> Sequence[WaitingEvent]:
        def read() -> list[WaitingEvent]:
            since = self._table(PARKED_SINCE)
            due = []
            for event_id, event in self._table(PARKED).items():
                times = [since[event_id] // 1000 + age for age in ages]
                reached = [at for at in times if after.until < at <= until]
                if reached and names_only_a_payment(event.references) is payments:
                    due.append(WaitingEvent(event_id, event.references, max(reached)))
            left = [each for each in due if after.leaves(each.due_at, each.event_id)]
            return sorted(left, key=lambda each: (each.due_at, each.event_id))[:limit]

        return await self._locked(read)

    async def remember_foreign(self, psp_ids: Sequence[str]) -> None:
        def write() -> None:
            self._database.tables.setdefault(FOREIGN, {}).update(dict.fromkeys(psp_ids, True))

        await self._locked(write)

    async def ages(self, stuck_after: Mapping[str, int]) -> Sequence[StatusAge]:
        return await self._locked(list)

    def _due(self, rules: Mapping[str, DueRule], until: int) -> Iterator[tuple[str, int, str]]:
        updated_at, status_since = self._table(UPDATED_AT), self._table(STATUS_SINCE)
        for order_id, (facts, columns, _) in self._table(ORDERS).items():
            status = columns["payment_order_status"]
            begins: dict[str, int] = {}
            if status in UNFINISHED_STATUSES:
                begins[status] = status_since[order_id] // 1000
                if columns["page_expires_at"] is not None:
                    begins["expiry"] = columns["page_expires_at"]
            if status in {"disputed", "charged_back"}:
                times = status_since[order_id] // 1000, updated_at[order_id] // 1000
                begins |= appeal_begins(status, orjson.loads(facts), *times)
            for reason, begin in begins.items():
                yield from ((order_id, at, reason) for at in due_times(rules, reason, begin, until))

    def _late_born(self, rules: Mapping[str, DueRule], until: int) -> Iterator[tuple[str, int, str]]:
        for row in self._table(REGISTRATIONS).values():
            if may_be_born_late(row) or (row.state == "unknown" and row.session_id is None):
                for reason, begin in (("late_born", int(row.last_try_at)), ("expiry", row.expires_at)):
                    yield from ((row.order_id, at, "late_born") for at in due_times(rules, reason, begin, until))

    def _psp_ids(self, order_id: str) -> tuple[str, ...]:
        facts, columns, _ = self._table(ORDERS).get(order_id, (b"{}", {}, 0))
        token = columns.get("psp_token")
        return (*((token,) if token else ()), *sorted(orjson.loads(facts).get("disputes", ())))

    def _table(self, name: str) -> Mapping[Any, Any]:
        return self._database.tables.get(name, {})

    async def _locked(self, effect: Callable[[], T]) -> T:
        def checked() -> T:
            self._database.require_session_lock(self._owner, Lock.RECONCILER)
            return effect()

        return await self._network.call(self._owner, checked)
