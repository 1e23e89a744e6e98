"""What must have become of each life against what PostgreSQL says. Pure: it only compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.demo.lives import Life, Lived

#: Kind, currency and signed amount in minor units, and how often.
Movements = Counter[tuple[str, str, int]]
_KINDS = ("charge", "refund", "dispute", "reversal")


@dataclass(frozen=True, slots=True)
class LifeLine:
    """One life: what was expected of it, what is recorded, and what kept it from its end, if anything did."""

    life: Life
    status: str
    moved: Movements
    trouble: str = ""

    @property
    def expected(self) -> Movements:
        """The movements of money that there must be."""
        return Counter((kind, self.life.currency, amount) for kind, amount in self.life.moves)

    @property
    def leaves(self) -> dict[str, int]:
        """What must be left in the end, per currency."""
        return {self.life.currency: sum(amount for _, amount in self.life.moves)}

    @property
    def equal(self) -> bool:
        """Whether it has lived as it had to: status and each single movement."""
        return not self.trouble and self.status == self.life.status and self.moved == self.expected


def life_lines(
    lived: Iterable[Lived], statuses: Mapping[str, str], movements: Mapping[str, Movements]
) -> list[LifeLine]:
    """Return a line for each life."""
    return [
        LifeLine(
            each.life,
            statuses.get(each.order_id, "(unknown)"),
            movements.get(each.order_id, Counter()),
            each.trouble,
        )
        for each in lived
    ]


def in_words(movements: Movements) -> str:
    """Return movements as a person reads them: '+4,990 -1,000 eur', what was charged first."""
    ordered = sorted(movements.elements(), key=lambda moved: (_KINDS.index(moved[0]), -moved[2]))
    currencies = sorted({currency for _, currency, _ in ordered})
    return " ".join([*(f"{amount:+,}" for _, _, amount in ordered), *currencies]) or "nothing"
