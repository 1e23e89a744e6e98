"""What one PSP object teaches: whose it is, every id in it, and facts. The words in which its readers say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from payonce.domain.facts import sum_key
from payonce.domain.merge import Facts
from payonce.domain.psp_objects import OwnMetadata


@dataclass(frozen=True, slots=True)
class Learned:
    """An object's own order id if it names one of ours, every PSP id in it with its payment, and the facts."""

    order_id: str | None
    references: Mapping[str, str | None]
    facts: Facts = field(default_factory=dict)


def present(**values: Any) -> dict[str, Any]:
    """Keep what is known: an absent key says less than a null one would."""
    return {name: value for name, value in values.items() if value is not None}


def named(payment: str | None, *ids: str | None) -> dict[str, str | None]:
    """Return the ids that there are, each with the payment it belongs to."""
    return dict.fromkeys((psp_id for psp_id in ids if psp_id is not None), payment)


def confirmed(own: OwnMetadata) -> dict[str, Any]:
    """Return the fact that the worker took this body, if the metadata names attempt and body."""
    if own.attempt is None or own.body_hash is None:
        return {}
    return {"confirmed": {str(own.attempt): {own.body_hash: 1}}}


def received(payment: str, own: OwnMetadata, currency: str, amount: int) -> dict[str, Any]:
    """Return the payment of a sum, in minor units."""
    return {payment: present(attempt=own.attempt) | {"sums": {sum_key(currency, amount): 1}}}
