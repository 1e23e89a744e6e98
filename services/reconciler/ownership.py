"""Whose a PSP object is: what the PSP says, followed from object to object until one carries our metadata or cannot.

`client_reference_id` proves nothing (anyone can set it in a payment link): only metadata that names an order does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from payonce.domain.psp_objects import is_order_id
from payonce.ports import GatewayFailure, PspReads


@dataclass(frozen=True, slots=True)
class Owner:
    """`ours` with the order; `foreign`: another app's; `unknown`: the PSP knows no such object."""

    outcome: Literal["ours", "foreign", "unknown"]
    order_id: str | None = None


FOREIGN: Final = Owner("foreign")
UNKNOWN: Final = Owner("unknown")
#: What tells its owner soonest is asked first; refunds and disputes name the payment, which is asked instead.
_ASKED: Final = ("cs_", "pi_", "ch_", "py_", "sub_", "in_")


async def owner_of(reads: PspReads, references: Sequence[str]) -> Owner:
    """Return whose an event with these references is: what the first of them says that the PSP knows.

    Raises GatewayFailure, but for a refusal to answer about one id (then it is unknown).
    """
    asked = [psp_id for prefix in _ASKED for psp_id in references if psp_id.startswith(prefix)]
    for psp_id in asked:
        try:
            owner = await _owner(reads, psp_id)
        except GatewayFailure as failure:
            if failure.kind != "permanent":
                raise
            continue
        if owner is not UNKNOWN:
            return owner
    return UNKNOWN


async def _owner(reads: PspReads, psp_id: str) -> Owner:
    thing = await reads.object(psp_id)
    if thing is None:
        return UNKNOWN
    owner = _named_by(thing.get("metadata"))
    if owner is not None:
        return owner
    match thing.get("object"):
        case "payment_intent":
            return await _of_payment_intent(reads, psp_id)
        case "charge":
            return await _follow(reads, thing.get("payment_intent"))
        case "invoice":
            return await _of_invoice(reads, thing)
    return FOREIGN  # sessions and subscriptions of ours carry the metadata from their first moment


async def _of_payment_intent(reads: PspReads, psp_id: str) -> Owner:
    """One without our metadata may still pay a session's or an invoice's subscription."""
    sessions = await reads.sessions_of(psp_id)
    for session in sessions:
        owner = _named_by(session.get("metadata"))
        if owner is not None:
            return owner
    if sessions:
        return FOREIGN
    for invoice in await reads.invoices_of(psp_id):
        owner = await _owner(reads, invoice)
        if owner.outcome == "ours":
            return owner
    return FOREIGN


async def _of_invoice(reads: PspReads, invoice: Mapping[str, Any]) -> Owner:
    """Read the copy of the subscription's metadata, wherever the API version puts it; else ask the subscription."""
    newer = _mapping(_mapping(invoice.get("parent")).get("subscription_details"))
    for details in (newer, _mapping(invoice.get("subscription_details"))):
        owner = _named_by(details.get("metadata"))
        if owner is not None:
            return owner
    return await _follow(reads, newer.get("subscription") or invoice.get("subscription"))


async def _follow(reads: PspReads, reference: object) -> Owner:
    """Ask for the object that another names, by its id or expanded; nothing named is nobody of ours."""
    psp_id = reference.get("id") if isinstance(reference, Mapping) else reference
    return await _owner(reads, psp_id) if isinstance(psp_id, str) and psp_id else FOREIGN


def _named_by(metadata: object) -> Owner | None:
    order_id = _mapping(metadata).get("order_id")
    return Owner("ours", order_id) if is_order_id(order_id) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
