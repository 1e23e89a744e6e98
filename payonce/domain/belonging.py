"""Whether an event whose order nobody knows is still waiting for it, or is another app's on the same account. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from payonce.domain.commands import Command
from payonce.domain.events import PspEvent, TokenEvent

#: Objects that carry our metadata from their first moment: without it, and with no id known to us, they are another
#: app's on the same account. Refunds, disputes, charges and invoices carry none and wait for their payment; so does a
#: PaymentIntent, because a subscription's has none either: the invoice that it pays says whose it is.
_MARKED_AT_BIRTH: Final = frozenset({"checkout.session", "subscription"})
#: How the ids of PaymentIntents and charges begin.
PAYMENT_PREFIXES: Final = ("pi_", "ch_", "py_")


def may_wait(message: Command | TokenEvent | PspEvent, references: Mapping[str, str | None]) -> bool:
    """Return whether a message with these PSP ids, none of them known, may turn out to be ours; else it is foreign."""
    if not isinstance(message, PspEvent) or not references:
        return False
    return message.object.get("object") not in _MARKED_AT_BIRTH


def names_only_a_payment(references: Iterable[str]) -> bool:
    """Return whether a waiting event with these PSP ids is about nothing but a PaymentIntent and its charge.

    It says which charge is whose, and that is all: a refund or a dispute says it again, and the invoice whose it is. On
    an account with another app most of what waits is of this kind, so it is worth no question to the PSP before all
    others are answered, and no person's time: if its order is still unknown after a day, it is another app's.
    """
    return all(psp_id.startswith(PAYMENT_PREFIXES) for psp_id in references)
