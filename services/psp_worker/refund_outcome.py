"""What is written and said about a refund, once something is known about it: pure. Rows in, rows out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from payonce.codec import encode_body
from payonce.domain.commands import RefundPayment
from payonce.domain.events import RefundAccepted, RefundRefusal, RefundRejected
from payonce.domain.psp_objects import ImpossibleEvent, PspObject
from payonce.ports import GatewayFailure, RefundEntry
from services.psp_worker.outcome import type_of
from services.psp_worker.timing import KEY_LIFE_SECONDS

#: The reasons that the PSP knows; any other is the client's own, and goes where the client's words go.
_PSP_REASONS: Final = frozenset({"duplicate", "fraudulent", "requested_by_customer"})


def refund_key(order_id: str, refund_reference: str) -> str:
    """Return the key of every try of this refund.

    It travels in a header, which holds ASCII, and 255 of it at the PSP: any other script is told by its digest.
    """
    is_plain = refund_reference.isascii() and refund_reference.isprintable()
    named = refund_reference if is_plain else hashlib.sha256(refund_reference.encode()).hexdigest()
    return f"{order_id}:refund:{named}"


def refund_request(command: RefundPayment, payment_intent: str) -> dict[str, Any]:
    """Return the parameters for a refund: no clock, no random value.

    Without an amount the PSP pays back what is left.
    """
    metadata = {"order_id": command.order_id, "refund_reference": command.refund_reference}
    request: dict[str, Any] = {"payment_intent": payment_intent, "metadata": metadata}
    if command.amount is not None:
        request["amount"] = command.amount
    if command.reason in _PSP_REASONS:
        request["reason"] = command.reason
    elif command.reason:
        metadata["reason"] = command.reason
    return request


def entry_for(command: RefundPayment, payment_intent: str, *, now: float) -> RefundEntry:
    """Return the row to enter for a refund that has none; `now` is unix seconds.

    The first try counts from the command's own time: an earlier ledger, since restored, may have known one.
    """
    row = _entry(command, payment_intent, refund_request(command, payment_intent), now)
    return too_late(row, now=now) or row


def entry_rejected(command: RefundPayment, detail: str, proof: str, *, now: float) -> RefundEntry:
    """Return the row of a refund for which there is no payment to take it from."""
    return _rejected(_entry(command, None, {}, now), "no_payment", detail, proof)


def reference_reused(command: RefundPayment, row: RefundEntry) -> RefundRejected:
    """Return the rejection of a command whose reference stands for a refund on other terms."""
    asked = "all that is left" if row.amount is None else str(row.amount)
    return RefundRejected(
        order_id=command.order_id,
        command_id=command.command_id,
        refund_reference=command.refund_reference,
        reason="reference_reused",
        detail=f"the reference stands for a refund of {asked}, payment {row.payment or 'of the order'}",
    )


def accepted(row: RefundEntry, refund: Mapping[str, Any]) -> RefundEntry:
    """Return the row with the PSP's refund. Raises GatewayFailure (transient) if it is not what a refund is."""
    try:
        thing = PspObject.of(refund, "refund")
        outcome = RefundAccepted(
            order_id=row.order_id,
            command_id=row.command_id,
            refund_reference=row.refund_reference,
            refund_id=thing.id,
            payment=row.payment or thing.reference("payment_intent") or row.payment_intent or "",
            amount=thing.count("amount"),
            currency=thing.currency(),
            status=thing.text("status"),
        )
    except ImpossibleEvent as error:
        raise GatewayFailure("transient", error.detail) from error
    return _with_outcome(replace(row, state="accepted", refund_id=outcome.refund_id, proof=None), outcome)


def refused(row: RefundEntry, failure: GatewayFailure) -> RefundEntry:
    """Return the row of a refund whose first request was refused: that is the proof."""
    proof = f"HTTP {failure.http_status} to the first request with this key, request {failure.request_id}"
    is_too_much = failure.code == "charge_already_refunded" or "greater than unrefunded" in failure.detail
    return _rejected(row, "amount_too_large" if is_too_much else "psp_refused", failure.detail, proof)


def failed_proven(row: RefundEntry, *, began_after: float) -> RefundEntry:
    """Return the row of a refund that is not in the payment's list, read so many seconds after the last try."""
    proof = (
        f"no refund of the payment names this reference, by a list asked for {int(began_after)} s after the last try"
    )
    return _rejected(row, "failed_proven", "the PSP has not carried the refund out", proof)


def too_late(row: RefundEntry, *, now: float) -> RefundEntry | None:
    """Return the row to write where the PSP may have forgotten the key of an earlier try, None while it may be used."""
    if now - row.first_try_at <= KEY_LIFE_SECONDS:
        return None
    return unknown(row, "the PSP may have forgotten the key of an earlier try")


def unknown(row: RefundEntry, detail: str) -> RefundEntry:
    """Return the row of which nobody knows whether money has moved. Its key is never used again: the PSP is asked."""
    return replace(row, state="unknown", proof=f"none yet: {detail}")


def named_by(refunds: Iterable[Mapping[str, Any]], row: RefundEntry) -> Mapping[str, Any] | None:
    """Return the refund that carries the row's order and reference."""
    for refund in refunds:
        metadata = refund.get("metadata") or {}
        if (metadata.get("order_id"), metadata.get("refund_reference")) == (row.order_id, row.refund_reference):
            return refund
    return None


def _entry(command: RefundPayment, payment_intent: str | None, request: dict[str, Any], now: float) -> RefundEntry:
    return RefundEntry(
        order_id=command.order_id,
        refund_reference=command.refund_reference,
        command_id=command.command_id,
        payment=command.payment,
        amount=command.amount,
        payment_intent=payment_intent,
        idempotency_key=refund_key(command.order_id, command.refund_reference),
        api_version=command.api_version,
        request=request,
        first_try_at=min(float(command.issued_at), now),
        last_try_at=now,
    )


def _rejected(row: RefundEntry, reason: RefundRefusal, detail: str, proof: str) -> RefundEntry:
    rejected = RefundRejected(
        order_id=row.order_id,
        command_id=row.command_id,
        refund_reference=row.refund_reference,
        reason=reason,
        detail=detail,
    )
    return _with_outcome(replace(row, state="rejected", proof=proof), rejected)


def _with_outcome(row: RefundEntry, outcome: RefundAccepted | RefundRejected) -> RefundEntry:
    return replace(row, outcome_type=type_of(outcome), outcome_body=encode_body(outcome))
