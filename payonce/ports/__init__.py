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
from payonce.ports.gateway import FailureKind, GatewayFailure, PaymentGateway, Registered, Session
from payonce.ports.ledger import HOLDING_STATES, Entered, Ledger, Registration, RegistrationState
from payonce.ports.log import Headers, LogProducer, OutgoingRecord, PublishFailed, Record, TopicPartition
from payonce.ports.store import PositionMoved, StoreRejected, StoreUnavailable

__all__ = [
    "HOLDING_STATES",
    "Clock",
    "Entered",
    "FailureKind",
    "FoldStore",
    "FoldTransaction",
    "GatewayFailure",
    "Headers",
    "Ledger",
    "LogProducer",
    "OrderChange",
    "Outbox",
    "OutboxRow",
    "OutgoingRecord",
    "ParkedEvent",
    "PaymentGateway",
    "PositionMoved",
    "PublishFailed",
    "Record",
    "Reference",
    "Registered",
    "Registration",
    "RegistrationState",
    "Session",
    "StoreRejected",
    "StoreUnavailable",
    "StoredOrder",
    "TimelineEntry",
    "TopicPartition",
]
