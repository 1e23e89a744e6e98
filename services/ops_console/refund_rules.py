"""Why a refund's letter stays: what was asked for under a reference is asked for once, and decided for ever. Pure.

The ledger keeps one refund for each reference, so under one of them nothing is paid back twice. Another reference is
another refund: it goes only when the ledger has rejected all that was asked for before in the original's place, by this
letter or by another group's. So that this is never forgotten, what has asked for a refund stays a refund of its order.
"""

from __future__ import annotations

from collections.abc import Sequence

from payonce.codec import Message
from payonce.domain.commands import RefundPayment
from payonce.ports.ops import Letter
from payonce.ports.ops_reads import LedgerView, RefundView
from services.ops_console.standing import own, read, sent_as

_REJECTED = "the ledger holds its refund as rejected, for good: discard it, or edit refund_reference to refund anew"
_REUSED = "the ledger holds its refund_reference for a refund on other terms: edit refund_reference to refund anew"
_MOVED = "money may have moved for an earlier refund_reference of this letter: look at the order's refunds first"
_FREE = "the ledger does not know the letter's own refund_reference: keep it, or both could be paid back"
_ANOTHER_ORDER = "it has asked for a refund of another order: ask for this one anew"
_NO_REFUND = "it has asked for a refund, and no edit makes another message of it: that refund would be forgotten"


def why_it_stays(
    letter: Letter, wanted: Message, ledger: Sequence[LedgerView | RefundView], others: Sequence[Letter] = ()
) -> str | None:
    """Return why psp_worker would not carry this out for the letter, or must not, for a refund's sake; else None.

    `ledger` is of the order in what is wanted, `others` are the other groups' letters about the same original.
    """
    if not isinstance(wanted, RefundPayment):
        return _NO_REFUND if letter.edit is not None and _earlier(letter, others) else None
    earlier = _earlier(letter, others)
    if any(before.order_id != wanted.order_id for before in earlier):
        return _ANOTHER_ORDER
    known = {row.refund_reference: row for row in ledger if isinstance(row, RefundView)}
    row = known.get(wanted.refund_reference)
    if row is not None:
        is_same = row.command_id == wanted.command_id
        return _REUSED if not is_same else _REJECTED if row.state == "rejected" else None
    for reference in (before.refund_reference for before in earlier):
        before = known.get(reference)
        if reference != wanted.refund_reference and (before is None or before.state != "rejected"):
            return _FREE if before is None else _MOVED
    return None


def _earlier(letter: Letter, others: Sequence[Letter]) -> list[RefundPayment]:
    """Return what may have been asked for: by the original as it was set aside, and by what was sent in its place."""
    said = [(read(each, own(each)), sent_as(each, RefundPayment)) for each in (letter, *others)]
    return [message for both in said for message in both if isinstance(message, RefundPayment)]
