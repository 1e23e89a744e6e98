"""Which edits take a second person: those of how much, in what, how often, whether it is paid, and whose it is. Pure.

Of our own fields the name tells. Of what the PSP says only what the fold makes of it does: a type or a status can say
that an order is paid.
"""

from __future__ import annotations

from collections.abc import Iterable

from payonce.codec import Message
from payonce.domain.commands import CancelPayment, CancelSubscription, RefreshPayment, RefundPayment, RegisterPayment
from payonce.domain.events import OrderStatusChanged, PspEvent
from payonce.domain.order import ImpossibleEvent, contribution

#: A name that contains one of these says how much, in what, how often, whether it is paid, or whose money it is.
_WORDS = (
    "amount",
    "currency",
    "total",
    "interval",
    "trial",
    "paid",
    "payment_status",
    "payment_type",
    "order_id",
    "client_id",
    "refund_reference",
)
_NOWHERE = ("", 0, 0)


def names_money(path: str) -> bool:
    """Return whether a dotted path names a field of money."""
    return any(word in part.lower() for part in path.split(".") for word in _WORDS)


def touches_money(before: Message | None, after: Message, changed: Iterable[str]) -> bool:
    """Return whether a second person has to look at the change; `changed` are the paths that differ.

    What could not be read before (None) proves nothing, so whatever is made of it is looked at. Raises ImpossibleEvent
    if the PSP's object is not what it can be after the change.
    """
    said = _said(after)
    if before is None or type(before) is not type(after) or any(names_money(path) for path in changed):
        return True
    try:
        return _said(before) != said
    except ImpossibleEvent:
        return True


def _said(message: Message) -> object:
    """Return what a message says of money, beside what its fields' names tell."""
    match message:
        case RegisterPayment() | RefreshPayment():
            return None
        case RefundPayment() | CancelPayment() | CancelSubscription():
            return message.command_id  # made of all that it asks for
        case OrderStatusChanged():
            return message
        case _:
            adds = contribution(message, position=_NOWHERE)
            is_live = message.livemode if isinstance(message, PspEvent) else None
            return is_live, adds.order_id, adds.references, adds.facts
