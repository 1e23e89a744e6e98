"""Checks that a redirect to the shop was signed by payonce: that says who wrote it, not that anything was paid."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

SIGNED_PARAMETERS = ("payment_order_id", "reference", "status", "amount", "currency", "time")


class Forged(Exception):
    """The parameters were not signed with the shop's return secret: do not believe any of them."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What the redirect says. `status` may be `pending`: the customer was quicker than the PSP's webhook."""

    payment_order_id: str
    reference: str
    status: str
    amount: int
    currency: str
    time: int


def sign(secret: bytes, parameters: dict[str, str]) -> str:
    """Return hex HMAC-SHA256 over the signed parameters as `name=value` lines, sorted by name, joined by LF."""
    lines = "\n".join(f"{name}={parameters[name]}" for name in sorted(SIGNED_PARAMETERS))
    return hmac.new(secret, lines.encode(), hashlib.sha256).hexdigest()


def verify(secret: bytes, parameters: Sequence[tuple[str, str]]) -> Returned:
    """Return what a redirect's (decoded) query says; each parameter must be there once. Raises Forged."""
    found = dict(parameters)
    if len(found) != len(parameters) or not {*SIGNED_PARAMETERS, "signature"} <= found.keys():
        raise Forged("a parameter is missing or repeated")
    if not hmac.compare_digest(sign(secret, found).encode(), found["signature"].encode()):
        raise Forged("the signature does not match")
    return Returned(
        payment_order_id=found["payment_order_id"],
        reference=found["reference"],
        status=found["status"],
        amount=int(found["amount"]),
        currency=found["currency"],
        time=int(found["time"]),
    )
