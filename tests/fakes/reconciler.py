"""The reconciler's ports in memory: a PSP that lists events and objects, and the tables with their one lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from payonce.adapters.reconciler_statements import UNFINISHED_STATUSES
from payonce.domain.belonging import names_only_a_payment
from payonce.domain.proofs import SCAN_PROOF
from payonce.ports import (
    DueOrder,
    DueRule,
    EventPage,
    GatewayFailure,
    Mark,
    OutgoingRecord,
    StatusAge,
    StoreUnavailable,
    WaitingEvent,
)
from payonce.record_size import require_fit
from tests.fakes.reconciler_dues import appeal_begins, due_times


def _no_step(_name: str) -> None:
    """Nothing goes wrong."""


def psp_event(name: str, created: int, kind: str = "payment_intent.succeeded", **subject: Any) -> dict[str, Any]:
    """An event as the PSP lists it."""
    return {
        "id": name,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": created,
        "livemode": False,
        "type": kind,
        "data": {"object": {"id": f"pi_{name}", "object": "payment_intent", **subject}},
    }


@dataclass
class FakePsp:
    """Implements ports.PspReads. `step(name)` runs before each call, and may raise; `page_size` is the PSP's."""

    step: Callable[[str], None] = _no_step
    page_size: int = 100
    events_listed: list[dict[str, Any]] = field(default_factory=list)
    undelivered: set[str] = field(default_factory=set)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    invoices: dict[str, list[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def has(self, *events: dict[str, Any], undelivered: bool = False) -> None:
        """Let these events have happened, in this order."""
        self.events_listed.extend(events)
        if undelivered:
            self.undelivered.update(event["id"] for event in events)

    async def events(
        self,
        types: Sequence[str],
        *,
        created_from: int,
        created_until: int | None = None,
        starting_after: str | None = None,
        undelivered_only: bool = False,
    ) -> EventPage:
        self._call("events")
        assert len(types) <= 20, "the PSP refuses more types"
        newest_first = [
            event
            for event in reversed(sorted(self.events_listed, key=lambda event: event["created"]))  # noqa: C413  (ties)
            if event["type"] in types
            and event["created"] >= created_from
            and (created_until is None or event["created"] < created_until)
            and (not undelivered_only or event["id"] in self.undelivered)
        ]
        if starting_after is not None:
            names = [event["id"] for event in newest_first]
            if starting_after not in names:
                raise GatewayFailure("permanent", "No such event", http_status=400)
            newest_first = newest_first[names.index(starting_after) + 1 :]
        page = newest_first[: self.page_size]
        return EventPage([orjson.dumps(event) for event in page], len(newest_first) > len(page))

    async def object(self, psp_id: str) -> Mapping[str, Any] | None:
        self._call(psp_id)
        return self.objects.get(psp_id)

    async def sessions_of(self, payment_intent: str) -> Sequence[Mapping[str, Any]]:
        self._call(f"sessions of {payment_intent}")
        return self.sessions.get(payment_intent, [])

    async def invoices_of(self, payment_intent: str) -> Sequence[str]:
        self._call(f"invoices of {payment_intent}")
        return self.invoices.get(payment_intent, [])

    def _call(self, name: str) -> None:
        self.step(name)
        self.calls.append(name)


@dataclass(slots=True)
class OrderState:
    """What the store reads of payment_order; `facts` as the fold has them."""

    status: str
    status_since: int
    psp_token: str | None = None
    page_expires_at: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: None: nothing has changed since the status did.
    updated_at: int | None = None


@dataclass(slots=True)
class LedgerRow:
    """What the store reads of psp_registration."""

    order_id: str
    state: str
    last_try_at: int
    expires_at: int
    session_id: str | None = None
    proof: str | None = None

    @property
    def may_have_a_session(self) -> bool:
        """Whether the PSP may have one that the row does not know."""
        is_settled_by_a_scan = self.state == "failed" and (self.proof or "").startswith(SCAN_PROOF)
        return self.session_id is None and (self.state in {"unknown", "cancelled"} or is_settled_by_a_scan)


@dataclass
class ReconcilerTables:
    """The tables, shared by several reconcilers, and who holds the lock."""

    now: Callable[[], float] = lambda: 1_800_000_000.0
    orders: dict[str, OrderState] = field(default_factory=dict)
    ledger: list[LedgerRow] = field(default_factory=list)
    timeline: set[tuple[str, int]] = field(default_factory=set)
    waiting: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    watermarks: dict[str, Mark] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    holder: object | None = None


@dataclass(eq=False)
class FakeReconcilerStore:
    """Implements ports.ReconcilerStore. `step(name)` runs before each call, and may raise."""

    tables: ReconcilerTables
    step: Callable[[str], None] = _no_step

    async def acquire(self) -> bool:
        self.step("acquire")
        if self.tables.holder is None:
            self.tables.holder = self
        return self.tables.holder is self

    async def watermark(self, task: str) -> Mark | None:
        self._locked("watermark")
        return self.tables.watermarks.get(task)

    async def advance(self, task: str, mark: Mark) -> None:
        self._locked("advance")
        self.tables.watermarks[task] = mark

    async def unknown_events(self, events: Mapping[str, int]) -> set[str]:
        self._locked("unknown_events")
        known = {name for name, _ in self.tables.timeline & set(events.items())}
        return set(events) - known - self.tables.waiting.keys()

    async def due_orders(self, rules: Sequence[DueRule], *, after: Mark, until: int, limit: int) -> Sequence[DueOrder]:
        self._locked("due_orders")
        latest: dict[str, tuple[int, str]] = {}
        for order_id, due_at, reason in self._due_times({rule.reason: rule for rule in rules}, until):
            if after.until < due_at <= until:
                latest[order_id] = max(latest.get(order_id, (0, "")), (due_at, reason))
        due = [DueOrder(name, *when, self._psp_ids(name)) for name, when in latest.items()]
        left = [each for each in due if after.leaves(each.due_at, each.order_id)]
        return sorted(left, key=lambda each: (each.due_at, each.order_id))[:limit]

    async def due_waiting(
        self, ages: Sequence[int], *, after: Mark, until: int, limit: int, payments: bool
    ) -> Sequence[WaitingEvent]:
        self._locked("due_waiting")
        due = []
        for name, (references, since) in self.tables.waiting.items():
            times = [since + age for age in ages if after.until < since + age <= until]
            if times and names_only_a_payment(references) is payments:
                due.append(WaitingEvent(name, references, max(times)))
        left = [each for each in due if after.leaves(each.due_at, each.event_id)]
        return sorted(left, key=lambda each: (each.due_at, each.event_id))[:limit]

    async def remember_foreign(self, psp_ids: Sequence[str]) -> None:
        self._locked("remember_foreign")
        self.tables.foreign.update(psp_ids)

    async def ages(self, stuck_after: Mapping[str, int]) -> Sequence[StatusAge]:
        self._locked("ages")
        found = []
        for status, seconds in stuck_after.items():
            since = [order.status_since for order in self.tables.orders.values() if order.status == status]
            if since:
                stuck = sum(each < self.tables.now() - seconds for each in since)
                found.append(StatusAge(status, len(since), min(since), stuck))
        return found

    def close(self) -> None:
        """Give the lock back."""
        if self.tables.holder is self:
            self.tables.holder = None

    def _due_times(self, rules: Mapping[str, DueRule], until: int) -> Iterator[tuple[str, int, str]]:
        for name, order in self.tables.orders.items():
            since = order.status_since
            begins = appeal_begins(order.status, order.facts, since, order.updated_at or since)
            if order.status in UNFINISHED_STATUSES:
                begins[order.status] = since
                if order.page_expires_at is not None:
                    begins["expiry"] = order.page_expires_at
            yield from ((name, at, why) for why, begin in begins.items() for at in due_times(rules, why, begin, until))
        for row in self.tables.ledger:
            if row.may_have_a_session:
                for why, begin in (("late_born", row.last_try_at), ("expiry", row.expires_at)):
                    yield from ((row.order_id, at, "late_born") for at in due_times(rules, why, begin, until))

    def _psp_ids(self, name: str) -> tuple[str, ...]:
        order = self.tables.orders.get(name)
        if order is None:
            return ()
        return (*((order.psp_token,) if order.psp_token else ()), *sorted(order.facts.get("disputes", ())))

    def _locked(self, name: str) -> None:
        self.step(name)
        if self.tables.holder is not self:
            raise StoreUnavailable("the lock is lost")


@dataclass
class SteppedLog:
    """Implements LogProducer. `step("publish")` runs before each record, and may raise."""

    step: Callable[[str], None] = _no_step
    records: list[OutgoingRecord] = field(default_factory=list)

    async def publish(self, record: OutgoingRecord) -> None:
        require_fit(record)
        self.step("publish")
        self.records.append(record)
