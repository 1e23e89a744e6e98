"""The reconciler put together from its ports: the same for the real process, for tests on fakes and for simulations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from payonce.ports import Clock, LogProducer, PspReads, ReconcilerStore
from services.reconciler.missed_events import MissedEvents
from services.reconciler.overdue_orders import OverdueOrders
from services.reconciler.pace import PacedReads
from services.reconciler.rate import Rate
from services.reconciler.reconciler import Reconciler
from services.reconciler.waiting_events import WaitingEvents


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside, handed in; `reads` is not paced yet."""

    reads: PspReads
    store: ReconcilerStore
    log: LogProducer
    clock: Clock


@dataclass(frozen=True, slots=True)
class Policy:
    """What can be set. `asks_after`: status -> seconds, where not as usual.

    The PSP worker answers each refresh with a few calls of its lower share.
    """

    calls_per_second: float
    refreshes_per_second: float
    interval_seconds: float
    grace_seconds: int
    api_version: str
    asks_after: Mapping[str, int] = field(default_factory=dict)


def assemble(ports: Ports, policy: Policy) -> Reconciler:
    """Return a reconciler. Call it inside the event loop."""
    reads = PacedReads(ports.reads, ports.clock, calls_per_second=policy.calls_per_second)
    events = MissedEvents(reads, ports.store, ports.log, ports.clock, grace_seconds=policy.grace_seconds)
    orders = OverdueOrders(
        ports.store,
        ports.log,
        ports.clock,
        rate=Rate(ports.clock, per_second=policy.refreshes_per_second, first_seconds=policy.interval_seconds),
        asks_after=policy.asks_after,
        api_version=policy.api_version,
    )
    waiting = WaitingEvents(reads, ports.store, ports.log, ports.clock, api_version=policy.api_version)
    # What needs no call goes first, so that it happens also while the PSP is away.
    tasks = {
        "orders": orders.run_once,
        "events": events.since_watermark,
        "undelivered": events.undelivered,
        "waiting": waiting.run_once,
    }
    return Reconciler(ports.store, tasks, ports.clock, interval_seconds=policy.interval_seconds)
