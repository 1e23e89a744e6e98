"""The doors to the outside, as the processes see them: log, gateway, ledger, fold store, clock.

Every effect goes through one of these, handed in by `app.py` or `__main__.py`; so the same loops run on the real
parts, on the fakes of the tests, and under a simulated scheduler. Adapters live in `payonce/adapters`.
"""

from payonce.ports.clock import Clock
from payonce.ports.fold import (
    FoldStore,
    FoldTransaction,
    OrderChange,
    Outbox,
    OutboxRow,
    ParkedEvent,
    Reference,
    StoredOrder,
    TimelineEntry,
)
from payonce.ports.gateway import (
    AttachedKind,
    FailureKind,
    GatewayFailure,
    ObjectPage,
    PaymentGateway,
    Reading,
    Registered,
    Session,
    SessionPage,
)
from payonce.ports.ledger import (
    HOLDING_STATES,
    Entered,
    Ledger,
    RefundEntry,
    RefundState,
    Registration,
    RegistrationState,
)
from payonce.ports.log import Headers, LogProducer, OutgoingRecord, PublishFailed, Record, TopicPartition
from payonce.ports.reconciler import (
    DueOrder,
    DueRule,
    EventPage,
    PspReads,
    ReconcilerReport,
    ReconcilerStore,
    StatusAge,
    StuckOrder,
    TouchedOrder,
    WaitingEvent,
)
from payonce.ports.store import PositionMoved, StoreRejected, StoreUnavailable

__all__ = [
    "HOLDING_STATES",
    "AttachedKind",
    "Clock",
    "DueOrder",
    "DueRule",
    "Entered",
    "EventPage",
    "FailureKind",
    "FoldStore",
    "FoldTransaction",
    "GatewayFailure",
    "Headers",
    "Ledger",
    "LogProducer",
    "ObjectPage",
    "OrderChange",
    "Outbox",
    "OutboxRow",
    "OutgoingRecord",
    "ParkedEvent",
    "PaymentGateway",
    "PositionMoved",
    "PspReads",
    "PublishFailed",
    "Reading",
    "ReconcilerReport",
    "ReconcilerStore",
    "Record",
    "Reference",
    "RefundEntry",
    "RefundState",
    "Registered",
    "Registration",
    "RegistrationState",
    "Session",
    "SessionPage",
    "StatusAge",
    "StoreRejected",
    "StoreUnavailable",
    "StoredOrder",
    "StuckOrder",
    "TimelineEntry",
    "TopicPartition",
    "TouchedOrder",
    "WaitingEvent",
]
