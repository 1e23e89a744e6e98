"""What a client wants paid, the identity of the order it makes, and the hash that tells two bodies apart."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

PaymentType = Literal["SALE", "RECC"]
PaymentMethod = Literal["APM", "CARD"]
Psp = Literal["stripe"]


@dataclass(frozen=True, slots=True)
class Terms:
    """The client's own fields of a payment order; `amount` counts the currency's minor unit as Stripe does."""

    client_id: str
    reference: str
    amount: int
    currency: str
    payment_type: PaymentType
    payment_method: PaymentMethod
    psp: Psp
    redirect_url: str
    description: str | None = None
    customer_email: str | None = None


def order_id_of(client_id: str, reference: str) -> str:
    """Return the one id of this client's reference: the same request always meets the same order and partition."""
    digest = hashlib.sha256(client_id.encode() + b"\x00" + reference.encode()).digest()
    return "ord_" + base64.b32encode(digest).decode().lower()[:26]


def body_hash_of(terms: Terms) -> str:
    """Return a versioned hash of the client's fields; equal hashes mean the same body, in every process version."""
    canonical = json.dumps(asdict(terms), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "v1:" + hashlib.sha256(canonical.encode()).hexdigest()


def differing_fields(left: Terms, right: Terms) -> tuple[str, ...]:
    """Return the names of the fields in which two bodies differ, sorted."""
    ours, theirs = asdict(left), asdict(right)
    return tuple(sorted(name for name in ours if ours[name] != theirs[name]))
