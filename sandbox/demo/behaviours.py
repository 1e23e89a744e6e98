"""What simulated customers do, and what must be true of their orders afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Behaviour(Enum):
    """One kind of customer; the value is how the summary names it."""

    PAYS_BY_CARD = "pays by card"
    PAYS_BY_BANK = "pays at the bank's page"
    PAYS_AFTER_3DS = "pays after 3-D Secure"
    DECLINED_THEN_PAYS = "is declined, then pays"
    PAYS_LATE = "pays late"
    DELAYED_DEBIT = "pays by delayed debit"
    DEBIT_BOUNCES = "has a debit that bounces"
    DECLINED_GIVES_UP = "is declined, gives up"
    ABANDONS = "abandons the page"
    CANCELS = "cancels"


@dataclass(frozen=True, slots=True)
class Expectation:
    """The status an order must end in, and whether its amount is money received."""

    status: str
    pays: bool


_PAID = Expectation("paid", pays=True)
_EXPIRED = Expectation("expired", pays=False)

EXPECTED: dict[Behaviour, Expectation] = {
    Behaviour.PAYS_BY_CARD: _PAID,
    Behaviour.PAYS_BY_BANK: _PAID,
    Behaviour.PAYS_AFTER_3DS: _PAID,
    Behaviour.DECLINED_THEN_PAYS: _PAID,
    Behaviour.PAYS_LATE: _PAID,
    Behaviour.DELAYED_DEBIT: _PAID,
    Behaviour.DEBIT_BOUNCES: Expectation("failed", pays=False),
    # Whoever leaves with the page still open leaves an open session: Stripe expires it when its time has come.
    Behaviour.DECLINED_GIVES_UP: _EXPIRED,
    Behaviour.ABANDONS: _EXPIRED,
    # Going back to the shop closes nothing at Stripe: the customer could still pay.
    Behaviour.CANCELS: Expectation("registered", pays=False),
}

#: Of twenty customers, so many are of each kind; the order is fixed, so that every demo has the same crowd.
_SHARES = {
    Behaviour.PAYS_BY_CARD: 7,
    Behaviour.PAYS_BY_BANK: 2,
    Behaviour.PAYS_AFTER_3DS: 2,
    Behaviour.DECLINED_THEN_PAYS: 2,
    Behaviour.PAYS_LATE: 1,
    Behaviour.DELAYED_DEBIT: 1,
    Behaviour.DEBIT_BOUNCES: 1,
    Behaviour.DECLINED_GIVES_UP: 1,
    Behaviour.ABANDONS: 2,
    Behaviour.CANCELS: 1,
}


def crowd(size: int) -> Iterator[Behaviour]:
    """Yield that many customers, the kinds mixed so that each appears early."""
    columns = [[kind] * share for kind, share in _SHARES.items()]
    mixed = [kind for row in itertools.zip_longest(*columns) for kind in row if kind is not None]
    return itertools.islice(itertools.cycle(mixed), size)
