"""Events: a snapshot of an object when something happened to it, kept for List Events and sent to the endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.stripe_simulator.answer import encode
from sandbox.stripe_simulator.state import EventRecord

if TYPE_CHECKING:
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.config import Config
    from sandbox.stripe_simulator.ids import Ids
    from sandbox.stripe_simulator.state import Json, Store
    from sandbox.stripe_simulator.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Cause:
    """The API request that caused an event; both are None for what a customer or the clock did."""

    request_id: str | None = None
    idempotency_key: str | None = None


CUSTOMER = Cause()


class Events:
    """Makes events and hands them to the webhook sender."""

    def __init__(self, config: Config, clock: Clock, ids: Ids, store: Store, webhooks: Webhooks) -> None:
        self._config = config
        self._clock = clock
        self._ids = ids
        self._store = store
        self._webhooks = webhooks

    def emit(self, event_type: str, subject: Json, cause: Cause = CUSTOMER) -> str | None:
        """Record that this happened to `subject` and begin delivery; return the event's id.

        None when the options say that such events are never generated. A twin is a second event for one happening.
        """
        options = self._webhooks.options
        if event_type in options.never_generate:
            return None
        record = self._record(event_type, subject, cause)
        if options.twin_probability and self._ids.random.random() < options.twin_probability:
            self._record(event_type, subject, cause)
        return record.id

    def _record(self, event_type: str, subject: Json, cause: Cause) -> EventRecord:
        subscribed = self._webhooks.subscribed(event_type)
        event_id, created = self._ids.event(), self._clock.seconds()
        event = {
            "id": event_id,
            "object": "event",
            "api_version": self._config.api_version,
            "created": created,
            "data": {"object": subject},
            "livemode": False,
            "pending_webhooks": int(subscribed),
            "request": {"id": cause.request_id, "idempotency_key": cause.idempotency_key},
            "type": event_type,
        }
        # The bytes are the snapshot: the object itself goes on changing.
        record = EventRecord(event_id, event_type, created, encode(event), int(subscribed))
        self._store.events.add(record)
        if subscribed:
            self._webhooks.send(record)
        return record
