"""What the shop sells, and for how much. Amounts are integers in the currency's minor unit: 2850 is EUR 28.50."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Currency:
    """How amounts of a currency are written. JPY has no decimals: 500 is five hundred yen."""

    code: str
    symbol: str
    decimals: int

    def text(self, amount: int) -> str:
        """Return an amount of minor units for people: '€28.50', '¥4,600'."""
        if self.decimals == 0:
            return f"{self.symbol}{amount:,}"
        whole, fraction = divmod(amount, 10**self.decimals)
        return f"{self.symbol}{whole:,}.{fraction:0{self.decimals}d}"


@dataclass(frozen=True, slots=True)
class Product:
    """Something to buy. `prices` holds minor units for every currency of the shop.

    `every` is set on a subscription: the interval ("month") at which its price is due.
    """

    sku: str
    name: str
    words: str
    prices: Mapping[str, int]
    every: str | None = None


CURRENCIES: Mapping[str, Currency] = MappingProxyType(
    {"EUR": Currency("EUR", "€", 2), "JPY": Currency("JPY", "¥", 0)},
)
DEFAULT_CURRENCY = "EUR"
_CLUB = {"EUR": 1500, "JPY": 2400}
_PRODUCTS = (
    Product("teapot", "Round teapot", "Holds four cups and a long conversation.", {"EUR": 4600, "JPY": 7500}),
    Product("mug", "Morning mug", "Thick walls, a wide handle, no slogan.", {"EUR": 1850, "JPY": 3000}),
    Product("tin", "Tea tin", "80 grams of smoky black tea, in a tin for the next 80.", {"EUR": 1290, "JPY": 2100}),
    Product("bowl", "Whisking bowl", "For matcha; or for olives, we do not judge.", {"EUR": 2400, "JPY": 3900}),
    Product("club", "Tea club", "A new tea every month. It is an order of its own.", _CLUB, every="month"),
)
PRODUCTS: Mapping[str, Product] = MappingProxyType({product.sku: product for product in _PRODUCTS})


def currency(code: str) -> Currency:
    """Return a currency; one that the shop knows no longer is written with its code and no decimals."""
    return CURRENCIES.get(code.upper()) or Currency(code.upper(), f"{code.upper()} ", 0)
