"""The life of a Checkout Session: created open, then complete (see checkout.py) or expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.errors import ApiError
from sandbox.stripe_simulator.events import CUSTOMER, Cause
from sandbox.stripe_simulator.line_items import line_items_of
from sandbox.stripe_simulator.session_object import session_object
from sandbox.stripe_simulator.state import SessionRecord

if TYPE_CHECKING:
    from sandbox.stripe_simulator.checkout import Checkout
    from sandbox.stripe_simulator.clock import Clock
    from sandbox.stripe_simulator.config import Config
    from sandbox.stripe_simulator.events import Events
    from sandbox.stripe_simulator.ids import Ids
    from sandbox.stripe_simulator.session_parameters import SessionRequest
    from sandbox.stripe_simulator.state import Json, Store


class Sessions:
    """Creates and expires sessions. Completing one is what Checkout does."""

    def __init__(
        self, config: Config, clock: Clock, ids: Ids, store: Store, events: Events, *, checkout: Checkout
    ) -> None:
        self._config = config
        self._clock = clock
        self._ids = ids
        self._store = store
        self._events = events
        self._checkout = checkout

    def create(self, request: SessionRequest, payment_link: str | None = None) -> SessionRecord:
        """Open a session; the clock expires it. Stripe announces no creation, so there is no event."""
        session_id = self._ids.session()
        created = self._clock.seconds()
        hosted = request.ui_mode == "hosted_page"
        url = f"{self._config.base_url}/c/pay/{session_id}" if hosted else None
        client_secret = None if hosted else self._ids.secret_of(session_id)
        session = session_object(session_id, request, created, url, client_secret)
        session["payment_link"] = payment_link
        record = SessionRecord(session, request)
        self._store.sessions.add(record)
        self._clock.at(request.expires_at, lambda: self._expire_when_due(record))
        return record

    def line_items(self, record: SessionRecord) -> Json:
        """Return the session's line items as a list object; the same at every call."""
        url = f"/v1/checkout/sessions/{record.id}/line_items"
        return {"object": "list", "data": line_items_of(record, self._ids), "has_more": False, "url": url}

    def expire(self, record: SessionRecord, cause: Cause = CUSTOMER) -> None:
        """End an open session. Raises ApiError (400) for any other."""
        session = record.object
        if not record.is_open:
            message = (
                'Only Checkout Sessions with a status in ["open"] can be expired. '
                f"This Checkout Session has a status of {session['status']}."
            )
            raise ApiError(400, message, executed=True)
        session["status"] = "expired"
        session["url"] = None
        record.pending = None
        self._checkout.abandon(record)
        self._events.emit("checkout.session.expired", session, cause)

    def _expire_when_due(self, record: SessionRecord) -> None:
        if record.is_open:
            self.expire(record)
