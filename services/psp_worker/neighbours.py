"""Where one object of the PSP leads: pure. What it names, what hangs on it, and whose it says that it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from payonce.domain.psp_objects import PspObject, own_metadata
from payonce.ports import AttachedKind, Registration

#: The fields of each kind that name another object.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "checkout.session": ("payment_intent", "subscription", "invoice"),
    "payment_intent": ("latest_charge",),
    "charge": ("payment_intent",),
    "refund": ("payment_intent", "charge"),
    "dispute": ("payment_intent", "charge"),
    "subscription": ("latest_invoice",),
    "invoice": ("payment_intent", "subscription"),
    "invoice_payment": ("invoice",),
}


def neighbours_of(data: Mapping[str, Any]) -> list[str]:
    """Return the ids of the objects that this one names. Raises ImpossibleEvent."""
    kind = str(data.get("object"))
    thing = PspObject.of(data, kind)
    named = [thing.reference(name) for name in _NAMES.get(kind, ())]
    if kind == "invoice":
        named.append(thing.part("parent").part("subscription_details").reference("subscription"))
    if kind == "invoice_payment":
        named.append(thing.part("payment").reference("payment_intent"))
    return [psp_id for psp_id in named if psp_id is not None]


def told_of(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object without what no fact is made of: a shop's evidence is personal, and may fill half a record."""
    if data.get("object") != "dispute":
        return data
    return {name: value for name, value in data.items() if name != "evidence"}


def attached_kinds(data: Mapping[str, Any]) -> Sequence[AttachedKind]:
    """Return what is listed by this object."""
    return ("refund", "dispute") if data.get("object") == "payment_intent" else ()


def has_invoice_payments(data: Mapping[str, Any]) -> bool:
    """Return whether links between invoices and payments are listed by this object.

    A PaymentIntent with metadata of ours pays a session; one without may pay an invoice, and cannot say which.
    """
    kind = data.get("object")
    return kind == "invoice" or (kind == "payment_intent" and order_of(data) is None)


def payers_in(links: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the PaymentIntents that paid an invoice, given its links. Raises ImpossibleEvent."""
    paid = [PspObject.of(link, "invoice_payment") for link in links if link.get("status") == "paid"]
    payers = (link.part("payment").reference("payment_intent") for link in paid)
    return [payer for payer in payers if payer is not None]


def is_foreign(data: Mapping[str, Any], order_id: str) -> bool:
    """Return whether the object says that it is another order's. Raises ImpossibleEvent."""
    return order_of(data) not in {None, order_id}


def order_of(data: Mapping[str, Any]) -> str | None:
    """Return the order that an object names: itself, or (an invoice) through its subscription."""
    thing = PspObject(data, str(data.get("object")))
    namers = (thing, thing.part("parent").part("subscription_details"), thing.part("subscription_details"))
    named = (own_metadata(namer.part("metadata")).order_id for namer in namers)
    return next((order_id for order_id in named if order_id is not None), None)


def is_stray(data: Mapping[str, Any], order_id: str, rows: Mapping[int, Registration]) -> bool:
    """Return whether this is an open session of an attempt that the ledger has closed without it."""
    if (data.get("object"), data.get("status")) != ("checkout.session", "open"):
        return False
    own = own_metadata(PspObject(data, "checkout.session").part("metadata"))
    row = rows.get(own.attempt or 0)
    is_closed = row is not None and row.state in {"expired", "cancelled", "failed", "rejected"}
    return own.order_id == order_id and row is not None and is_closed and row.session_id != data["id"]
