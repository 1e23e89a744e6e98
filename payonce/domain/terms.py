"""What a client wants paid, the identity of the order it makes, and the hash that tells two bodies apart."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

PaymentType = Literal["SALE", "RECC"]
PaymentMethod = Literal["APM", "CARD"]
Psp = Literal["stripe"]
Interval = Literal["day", "week", "month", "year"]

#: The PSP bills at least every three years.
MOST_INTERVALS: Final[Mapping[Interval, int]] = {"day": 1095, "week": 156, "month": 36, "year": 3}
#: The PSP's longest trial.
MOST_TRIAL_DAYS: Final = 730


@dataclass(frozen=True, slots=True)
class Recurring:
    """How often a subscription is billed, and how many days it costs nothing at first (None: none)."""

    interval: Interval
    interval_count: int = 1
    trial_days: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """The client's own fields of a payment order; `amount` counts the currency's minor unit as Stripe does.

    `recurring` belongs to RECC alone, where `amount` is what every period costs.
    """

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
    recurring: Recurring | None = None


def order_id_of(client_id: str, reference: str) -> str:
    """Return the one id of this client's reference: the same request always meets the same order and partition."""
    digest = hashlib.sha256(client_id.encode() + b"\x00" + reference.encode()).digest()
    return "ord_" + base64.b32encode(digest).decode().lower()[:26]


def body_hash_of(terms: Terms) -> str:
    """Return a versioned hash of the client's fields; equal hashes mean the same body, in every process version."""
    canonical = json.dumps(terms_document(terms), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "v1:" + hashlib.sha256(canonical.encode()).hexdigest()


def terms_document(terms: Terms) -> dict[str, Any]:
    """Return the terms as JSON, in which they are hashed, sent and stored.

    A body without `recurring` does not name it: it stays what it was, byte for byte, before the field existed.
    """
    document = asdict(terms)
    if terms.recurring is None:
        del document["recurring"]
    return document


def terms_of_document(document: Mapping[str, Any]) -> Terms:
    """Return the terms in a JSON document of any version: what is unknown is left, what is missing has its default."""
    return Terms(**{**_known(Terms, document), "recurring": recurring_of_document(document.get("recurring"))})


def recurring_of_document(document: Mapping[str, Any] | None) -> Recurring | None:
    """Return the part of the terms that only a subscription has."""
    return None if document is None else Recurring(**_known(Recurring, document))


def differing_fields(left: Terms, right: Terms) -> tuple[str, ...]:
    """Return the names of the fields in which two bodies differ, sorted."""
    names = (field.name for field in fields(Terms))
    return tuple(sorted(name for name in names if getattr(left, name) != getattr(right, name)))


def _known(kind: type[Terms | Recurring], document: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: document[field.name] for field in fields(kind) if field.name in document}
