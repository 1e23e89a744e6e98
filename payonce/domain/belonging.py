"""Whether an event whose order nobody knows is still waiting for it, or is another app's on the same account. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from payonce.domain.commands import Command
from payonce.domain.events import PspEvent, TokenEvent

#: Objects that carry our metadata from their first moment: without it, and with no id known to us, they are another
#: app's on the same account. Refunds, disputes, charges and invoices carry none and wait for their payment; so does a
#: PaymentIntent, because a subscription's has none either: the invoice that it pays says whose it is.
_MARKED_AT_BIRTH = frozenset({"checkout.session", "subscription"})


def may_wait(message: Command | TokenEvent | PspEvent, references: Mapping[str, str | None]) -> bool:
    """Return whether a message with these PSP ids, none of them known, may turn out to be ours; else it is foreign."""
    if not isinstance(message, PspEvent) or not references:
        return False
    return message.object.get("object") not in _MARKED_AT_BIRTH
