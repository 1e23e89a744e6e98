"""Two sets of tables, row by row. Pure: sorted streams in, differences out.

"Same" means terms, facts, status, flags, movements of money, invoices and whose a PSP id is; the version and the times
of writing are not part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from payonce.adapters.order_scan import ScannedOrder

Kind = Literal["missing", "surplus", "changed"]
_LAST = None


@dataclass(frozen=True, slots=True)
class Difference:
    """An order that the topics tell otherwise than the live row does.

    "missing": the live tables have no such row, "surplus": no record names it, "changed": `columns` (and "facts",
    "movements", "invoices") say what is there and what should be.
    """

    order_id: str
    kind: Kind
    columns: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two sets of tables compare: how many orders the live one has, and every key that differs."""

    orders: int
    missing: Sequence[str]
    surplus: Sequence[str]
    changed: Sequence[str]
    #: PSP ids that one of the two lacks, or gives to another order.
    references: Sequence[str]

    @property
    def equal(self) -> bool:
        """Whether there is no difference at all."""
        return not (self.missing or self.surplus or self.changed or self.references)

    @property
    def differing(self) -> Sequence[str]:
        """The ids of the orders that differ, ascending."""
        return sorted([*self.missing, *self.surplus, *self.changed])


def compare(
    live: tuple[Iterator[tuple[str, str]], Iterator[tuple[str, str]]],
    made: tuple[Iterator[tuple[str, str]], Iterator[tuple[str, str]]],
) -> Comparison:
    """Compare (digests by order id, owners by PSP id) of the live tables with those of the rebuilt ones."""
    keys: dict[Kind, list[str]] = {"missing": [], "surplus": [], "changed": []}
    orders = 0
    for key, ours, theirs in _joined(live[0], made[0]):
        orders += ours is not None
        if ours != theirs:
            keys["missing" if ours is None else "surplus" if theirs is None else "changed"].append(key)
    references = [key for key, ours, theirs in _joined(live[1], made[1]) if ours != theirs]
    return Comparison(orders, keys["missing"], keys["surplus"], keys["changed"], references)


def difference(order_id: str, live: ScannedOrder | None, made: ScannedOrder | None) -> Difference:
    """Return what differs between two rows of one order, at least one of which is there."""
    if live is None or made is None:
        return Difference(order_id, "missing" if live is None else "surplus")
    ours, theirs = ({**row.told(), "facts": row.facts} for row in (live, made))
    return Difference(
        order_id, "changed", {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
    )


def _joined(
    left: Iterator[tuple[str, str]], right: Iterator[tuple[str, str]]
) -> Iterator[tuple[str, str | None, str | None]]:
    """Merge two streams that ascend by key: (key, left's value, right's value), None where a side lacks the key."""
    ours, theirs = next(left, _LAST), next(right, _LAST)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours[0] < theirs[0]):
            assert ours is not None
            yield ours[0], ours[1], None
            ours = next(left, _LAST)
        elif ours is None or theirs[0] < ours[0]:
            yield theirs[0], None, theirs[1]
            theirs = next(right, _LAST)
        else:
            yield ours[0], ours[1], theirs[1]
            ours, theirs = next(left, _LAST), next(right, _LAST)
