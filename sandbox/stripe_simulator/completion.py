"""What every session has in common when its customer is done: complete, with what was typed, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.session_object import customer_details

if TYPE_CHECKING:
    from sandbox.stripe_simulator.events import Events
    from sandbox.stripe_simulator.payment_methods import Instrument
    from sandbox.stripe_simulator.state import SessionRecord


def complete(record: SessionRecord, instrument: Instrument, payment_status: str, events: Events) -> None:
    """Close the session and emit `checkout.session.completed`; `payment_status` is paid, unpaid or nothing due."""
    email = instrument.email or record.object["customer_email"]
    record.object.update(
        status="complete",
        payment_status=payment_status,
        url=None,
        customer_details=customer_details(email, instrument.name),
    )
    record.completed_event_id = events.emit("checkout.session.completed", record.object)
