"""What each customer did against what payonce says, and the money as each tells it. Pure: it only compares."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.demo.behaviours import EXPECTED, Behaviour
from sandbox.demo.life_lines import LifeLine

Money = Mapping[str, int]  # currency -> minor units


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as its customer knows it."""

    order_id: str
    behaviour: Behaviour
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class BehaviourLine:
    """One kind of customer: how many there were, what was expected, what payonce says."""

    behaviour: Behaviour
    orders: int
    expected: str
    found: Mapping[str, int]

    @property
    def equal(self) -> bool:
        """Whether every order of this kind ended as it had to."""
        return dict(self.found) == {self.expected: self.orders}


@dataclass(frozen=True, slots=True)
class MoneyLine:
    """One currency: what must be left, what PostgreSQL recorded, what the analytics consumer summed up.

    `further` are the sums of whoever else was asked, by name.
    """

    currency: str
    expected: int
    recorded: int
    analysed: int
    further: Mapping[str, int] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether all say the same."""
        return {self.expected} == {self.recorded, self.analysed, *self.further.values()}


@dataclass(frozen=True, slots=True)
class Summary:
    """The end of a demo."""

    behaviours: tuple[BehaviourLine, ...]
    money: tuple[MoneyLine, ...]
    sessions_doubled: int
    lives: tuple[LifeLine, ...] = ()
    #: What `payonce verify` finds when all is settled.
    violations: int = 0

    @property
    def equal(self) -> bool:
        """Whether there is no difference at all."""
        lines = [line.equal for line in self.behaviours] + [line.equal for line in self.lives]
        money = [line.equal for line in self.money]
        return all(lines + money) and self.sessions_doubled == 0 and self.violations == 0


def summarise(
    placed: Iterable[Placed],
    statuses: Mapping[str, str],
    *,
    recorded: Money,
    analysed: Money,
    sessions_per_order: Mapping[str, int],
    lives: Iterable[LifeLine] = (),
    further: Mapping[str, Money] | None = None,
) -> Summary:
    """Compare what the customers did with the statuses in PostgreSQL, the sums and the sessions at the PSP.

    The sums are of the orders and the lives together.
    """
    orders, lived = tuple(placed), tuple(lives)
    expected = added(money_expected(orders), *(line.leaves for line in lived))
    return Summary(
        behaviours=tuple(_behaviour_line(kind, orders, statuses) for kind in Behaviour),
        money=tuple(_money_lines(expected, recorded, analysed, further or {})),
        sessions_doubled=sum(1 for count in sessions_per_order.values() if count > 1),
        lives=lived,
    )


def money_expected(orders: Iterable[Placed]) -> dict[str, int]:
    """Return what the customers who pay have paid, per currency."""
    total: Counter[str] = Counter()
    for order in orders:
        if EXPECTED[order.behaviour].pays:
            total[order.currency] += order.amount
    return dict(total)


def added(*sums: Money) -> dict[str, int]:
    """Return the sums of several together, per currency, without what is nothing."""
    total: Counter[str] = Counter()
    for money in sums:
        total.update(money)
    return {currency: amount for currency, amount in total.items() if amount}


def unsettled(orders: Iterable[Placed], statuses: Mapping[str, str]) -> list[Placed]:
    """Return the orders that are not yet in the status their customer's doings lead to."""
    return [order for order in orders if statuses.get(order.order_id) != EXPECTED[order.behaviour].status]


def _behaviour_line(kind: Behaviour, orders: tuple[Placed, ...], statuses: Mapping[str, str]) -> BehaviourLine:
    mine = [order for order in orders if order.behaviour is kind]
    found = Counter(statuses.get(order.order_id, "(unknown)") for order in mine)
    return BehaviourLine(kind, len(mine), EXPECTED[kind].status, found if mine else {EXPECTED[kind].status: 0})


def _money_lines(
    expected: Money, recorded: Money, analysed: Money, further: Mapping[str, Money]
) -> Iterable[MoneyLine]:
    for currency in sorted({*expected, *recorded, *analysed, *itertools.chain(*further.values())}):
        yield MoneyLine(
            currency,
            expected.get(currency, 0),
            recorded.get(currency, 0),
            analysed.get(currency, 0),
            {name: money.get(currency, 0) for name, money in further.items()},
        )
