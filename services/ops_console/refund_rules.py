"""Why a refund's letter stays: what was asked for under a reference is asked for once, and decided for ever. Pure.

The ledger keeps one refund for each reference, so under one of them nothing is paid back twice. Another reference is
another refund: it goes only when the ledger has rejected all that the same letter has asked for before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from payonce.domain.commands import RefundPayment
from payonce.ports.ops import Letter
from payonce.ports.ops_reads import LedgerView, RefundView
from services.ops_console.standing import own, read, standing

_REJECTED = "the ledger holds its refund as rejected, for good: discard it, or edit refund_reference to refund anew"
_REUSED = "the ledger holds its refund_reference for a refund on other terms: edit refund_reference to refund anew"
_MOVED = "money may have moved for an earlier refund_reference of this letter: look at the order's refunds first"
_FREE = "the ledger does not know the letter's own refund_reference: keep it, or both could be paid back"


def why_it_stays(letter: Letter, wanted: RefundPayment, ledger: Sequence[LedgerView | RefundView]) -> str | None:
    """Return why psp_worker would not carry out this refund for the letter, or must not; None if it may go."""
    known = {row.refund_reference: row for row in ledger if isinstance(row, RefundView)}
    row = known.get(wanted.refund_reference)
    if row is not None:
        is_same = row.command_id == wanted.command_id
        return _REUSED if not is_same else _REJECTED if row.state == "rejected" else None
    for reference in _earlier(letter):
        before = known.get(reference)
        if reference != wanted.refund_reference and (before is None or before.state != "rejected"):
            return _FREE if before is None else _MOVED
    return None


def _earlier(letter: Letter) -> Iterator[str]:
    for content in (own(letter), standing(letter)):
        message = read(letter, content)
        if isinstance(message, RefundPayment):
            yield message.refund_reference
