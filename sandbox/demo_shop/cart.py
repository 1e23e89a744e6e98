"""The cart: a value that lives in the customer's cookie. Prices are not in it; the shop looks them up.

Each content of a cart has its own `reference`, the order's name at the payment service. So pressing "pay" twice, or
again after an error, asks for the same order, and a changed cart asks for another one. The way to pay is part of the
content. A subscription is ordered by itself: its price is due again and again, that of the other things once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from sandbox.demo_shop.catalogue import CURRENCIES, DEFAULT_CURRENCY, PRODUCTS, Currency, Product

#: On the payment provider's page, or with its card fields on the shop's own.
Way = Literal["page", "card"]
WAYS: tuple[Way, ...] = get_args(Way)
COOKIE = "small_kettle_cart"
MOST_OF_ONE = 9
_ITEM = re.compile(r"([a-z]{1,20})-([1-9])")
_REFERENCE = re.compile(r"SK-[A-Z2-7]{16}")


@dataclass(frozen=True, slots=True)
class Line:
    """One product in the cart, with its sum in minor units."""

    product: Product
    quantity: int
    amount: int


@dataclass(frozen=True, slots=True)
class Cart:
    """What a customer wants, 1 to 9 of each, and in which currency. An empty cart has an empty reference."""

    reference: str = ""
    currency_code: str = DEFAULT_CURRENCY
    quantities: Mapping[str, int] = field(default_factory=dict)
    way: Way = "page"

    @property
    def currency(self) -> Currency:
        """The currency of every price."""
        return CURRENCIES[self.currency_code]

    @property
    def lines(self) -> tuple[Line, ...]:
        """The products in the catalogue's order, so that equal carts describe themselves equally."""
        return tuple(
            Line(product, quantity, product.prices[self.currency_code] * quantity)
            for sku, product in PRODUCTS.items()
            if (quantity := self.quantities.get(sku, 0))
        )

    @property
    def count(self) -> int:
        """How many things are in it."""
        return sum(self.quantities.values())

    @property
    def amount(self) -> int:
        """The total in minor units."""
        return sum(line.amount for line in self.lines)

    @property
    def every(self) -> str | None:
        """The interval at which the amount is due, None if it is due once."""
        return next((line.product.every for line in self.lines), None)

    @property
    def description(self) -> str:
        """What the payment page shows."""
        return ", ".join(f"{line.quantity} x {line.product.name}" for line in self.lines)

    def with_quantity(self, sku: str, quantity: int, reference: str) -> Cart:
        """Return the cart with so many of a product (0 removes it, 9 is the most) under a new reference.

        What cannot be ordered together with it goes.
        """
        wanted = {**self.quantities, sku: min(quantity, MOST_OF_ONE)}
        left = {other: number for other, number in wanted.items() if number > 0}
        kept = {other: number for other, number in left.items() if sku not in left or _fit((sku, other))}
        return replace(self, reference=reference, quantities=kept)

    def with_currency(self, code: str, reference: str) -> Cart:
        """Return the cart priced in another currency under a new reference."""
        return replace(self, reference=reference, currency_code=code)

    def with_way(self, way: Way, reference: str) -> Cart:
        """Return the cart paid in another way under a new reference."""
        return replace(self, reference=reference, way=way)

    def renewed(self, reference: str) -> Cart:
        """Return the same content under a new reference: another order."""
        return replace(self, reference=reference)

    def emptied(self) -> Cart:
        """Return an empty cart in the same currency, paid in the same way."""
        return replace(self, reference="", quantities={})

    def cookie(self) -> str:
        """Return the cart as a cookie's value."""
        items = [f"{sku}-{quantity}" for sku, quantity in sorted(self.quantities.items())]
        return ".".join([self.currency_code, self.way, self.reference, *items])


def read_cart(cookie: str) -> Cart:
    """Return the cart of a cookie's value. A stranger writes cookies: what is not understood is not in the cart."""
    code, way_name, reference, *items = [*cookie[:500].split("."), "", "", ""]
    found = [match for item in items if (match := _ITEM.fullmatch(item))]
    quantities = {match[1]: int(match[2]) for match in found if match[1] in PRODUCTS}
    known = code if code in CURRENCIES else DEFAULT_CURRENCY
    way: Way = next((way for way in WAYS if way == way_name), "page")
    if not quantities or not _fit(quantities) or not _REFERENCE.fullmatch(reference):
        return Cart(currency_code=known, way=way)
    return Cart(reference, known, quantities, way)


def _fit(skus: Collection[str]) -> bool:
    """Whether these can be ordered together: things with things, a subscription with nothing else."""
    different = set(skus)
    return len(different) == 1 or not any(PRODUCTS[sku].every for sku in different)
