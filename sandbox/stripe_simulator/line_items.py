"""Line items made from price data: what is accepted, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from sandbox.stripe_simulator import errors
from sandbox.stripe_simulator.currency import CURRENCIES, fault_of_amount

if TYPE_CHECKING:
    from sandbox.stripe_simulator.ids import Ids
    from sandbox.stripe_simulator.parameters import Parameters

LINE_ITEM = frozenset({"adjustable_quantity", "metadata", "price", "price_data", "quantity", "tax_rates"})
_PRICE_DATA = frozenset(
    {"currency", "product", "product_data", "recurring", "tax_behavior", "unit_amount", "unit_amount_decimal"}
)
_PRODUCT_DATA = frozenset({"description", "images", "metadata", "name", "tax_code", "unit_label"})
_LINE_ITEMS_MAX = 100


@dataclass(frozen=True, slots=True)
class LineItem:
    """One position; `unit_amount` in minor units."""

    name: str
    currency: str
    unit_amount: int
    quantity: int
    metadata: dict[str, str]

    @property
    def amount(self) -> int:
        return self.unit_amount * self.quantity


def read_line_items(items: list[Parameters], currency: str | None) -> tuple[LineItem, ...]:
    """Check the line items of payment mode: 1 to 100 of one currency (and of `currency`, when that is given)."""
    if not items:
        raise errors.missing_parameter("line_items")
    if len(items) > _LINE_ITEMS_MAX:
        raise errors.invalid_parameter("line_items", f"You can pass at most {_LINE_ITEMS_MAX} line items")
    read = tuple(_line_item(item) for item in items)
    if len({item.currency for item in read} | ({currency.lower()} if currency else set())) > 1:
        raise errors.invalid_parameter("line_items", "All prices of a Checkout Session must use the same currency")
    return read


def _line_item(item: Parameters) -> LineItem:
    for name in ("price", "adjustable_quantity", "tax_rates"):
        if name in item:
            raise errors.not_simulated(f"line_items with {name}; use price_data", item.name(name))
    price = item.child("price_data", _PRICE_DATA)
    if price is None:
        raise errors.missing_parameter(item.name("price_data"))
    quantity = item.integer("quantity")
    if quantity is None:
        raise errors.missing_parameter(item.name("quantity"))
    if quantity < 1:
        raise errors.invalid_parameter(item.name("quantity"), "This value must be greater than or equal to 1.")
    currency = _currency(price)
    return LineItem(_product_name(price), currency, _unit_amount(price, currency), quantity, item.metadata("metadata"))


def _currency(price: Parameters) -> str:
    currency = price.required("currency").lower()
    if currency not in CURRENCIES:
        raise errors.invalid_parameter(price.name("currency"), f"Invalid currency: {currency[:20]}")
    if "recurring" in price:
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use "
            "only one-time prices."
        )
        raise errors.invalid_parameter(price.name("recurring"), message)
    price.choice("tax_behavior", {"exclusive", "inclusive", "unspecified"})
    return currency


def _product_name(price: Parameters) -> str:
    if "product" in price:
        raise errors.not_simulated("stored products; use product_data", price.name("product"))
    product = price.child("product_data", _PRODUCT_DATA)
    if product is None:
        raise errors.missing_parameter(price.name("product_data"))
    product.metadata("metadata")
    return product.required("name")


def _unit_amount(price: Parameters, currency: str) -> int:
    name = price.name("unit_amount")
    amount = price.integer("unit_amount")
    decimal = price.string("unit_amount_decimal")
    if (amount is None) == (decimal is None):
        if amount is None:
            raise errors.missing_parameter(name)
        raise errors.invalid_parameter(name, "You may only specify one of unit_amount and unit_amount_decimal.")
    if decimal is not None:
        amount = _whole(price.name("unit_amount_decimal"), decimal)
    if amount is None or amount < 0:
        raise errors.invalid_parameter(name, "Invalid non-negative integer", "parameter_invalid_integer")
    fault = fault_of_amount(amount, currency)
    if fault:
        raise errors.invalid_parameter(name, fault)
    return amount


def _whole(name: str, text: str) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise errors.invalid_parameter(name, f"Invalid decimal: {text[:20]}") from error
    if value != value.to_integral_value():
        raise errors.not_simulated("fractions of the minor unit", name)
    return int(value)


def line_item_objects(items: tuple[LineItem, ...], ids: Ids, created: int) -> list[dict[str, Any]]:  # Any: JSON
    """Show the line items, each with a price of its own."""
    return [_line_item_object(item, ids, created) for item in items]


def _line_item_object(item: LineItem, ids: Ids, created: int) -> dict[str, Any]:  # Any: JSON
    return {
        "id": ids.object("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": item.amount,
        "amount_tax": 0,
        "amount_total": item.amount,
        "currency": item.currency,
        "description": item.name,
        "metadata": item.metadata,
        "price": _price_object(item, ids, created),
        "quantity": item.quantity,
    }


def _price_object(item: LineItem, ids: Ids, created: int) -> dict[str, Any]:  # Any: JSON
    return {
        "id": ids.object("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": item.currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": ids.object("prod"),
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": item.unit_amount,
        "unit_amount_decimal": str(item.unit_amount),
    }
