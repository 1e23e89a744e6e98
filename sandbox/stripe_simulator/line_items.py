"""Line items made from price data: what is accepted, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from sandbox.stripe_simulator import errors
from sandbox.stripe_simulator.currency import CURRENCIES, fault_of_amount
from sandbox.stripe_simulator.periods import COUNT_MAX, Recurring

if TYPE_CHECKING:
    from sandbox.stripe_simulator.ids import Ids
    from sandbox.stripe_simulator.parameters import Parameters
    from sandbox.stripe_simulator.state import SessionRecord

LINE_ITEM = frozenset({"adjustable_quantity", "metadata", "price", "price_data", "quantity", "tax_rates"})
_PRICE_DATA = frozenset(
    {"currency", "product", "product_data", "recurring", "tax_behavior", "unit_amount", "unit_amount_decimal"}
)
_PRODUCT_DATA = frozenset({"description", "images", "metadata", "name", "tax_code", "unit_label"})
_LINE_ITEMS_MAX = 100
_SUBSCRIPTION_ITEMS_MAX = 20  # recurring ones, and as many more that are billed once


@dataclass(frozen=True, slots=True)
class LineItem:
    """One position; `unit_amount` in minor units."""

    name: str
    currency: str
    unit_amount: int
    quantity: int
    metadata: dict[str, str]
    recurring: Recurring | None = None

    @property
    def amount(self) -> int:
        return self.unit_amount * self.quantity


def read_line_items(items: list[Parameters], currency: str | None, mode: str) -> tuple[LineItem, ...]:
    """Check the line items for this mode: all of one currency (and of `currency`, when that is given)."""
    if not items:
        raise errors.missing_parameter("line_items")
    read = tuple(_line_item(item, mode) for item in items)
    if mode == "payment" and len(items) > _LINE_ITEMS_MAX:
        raise errors.invalid_parameter("line_items", f"You can pass at most {_LINE_ITEMS_MAX} line items")
    if mode == "subscription":
        _check_recurring(read)
    if len({item.currency for item in read} | ({currency.lower()} if currency else set())) > 1:
        raise errors.invalid_parameter("line_items", "All prices of a Checkout Session must use the same currency")
    return read


def _check_recurring(items: tuple[LineItem, ...]) -> None:
    intervals = {item.recurring for item in items if item.recurring is not None}
    if not intervals:
        message = "You must provide at least one recurring price in `subscription` mode when using prices."
        raise errors.invalid_parameter("line_items", message)
    if len(intervals) > 1:
        message = "Checkout does not support multiple prices with different billing intervals."
        raise errors.invalid_parameter("line_items", message)
    recurring = sum(item.recurring is not None for item in items)
    if max(recurring, len(items) - recurring) > _SUBSCRIPTION_ITEMS_MAX:
        message = f"You can pass at most {_SUBSCRIPTION_ITEMS_MAX} recurring and as many one-time line items"
        raise errors.invalid_parameter("line_items", message)


def _line_item(item: Parameters, mode: str) -> LineItem:
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
    return LineItem(
        name=_product_name(price),
        currency=currency,
        unit_amount=_unit_amount(price, currency),
        quantity=quantity,
        metadata=item.metadata("metadata"),
        recurring=_recurring(price, mode),
    )


def _currency(price: Parameters) -> str:
    currency = price.required("currency").lower()
    if currency not in CURRENCIES:
        raise errors.invalid_parameter(price.name("currency"), f"Invalid currency: {currency[:20]}")
    price.choice("tax_behavior", {"exclusive", "inclusive", "unspecified"})
    return currency


def _recurring(price: Parameters, mode: str) -> Recurring | None:
    recurring = price.child("recurring", {"interval", "interval_count"})
    if recurring is None:
        return None
    if mode == "payment":
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use "
            "only one-time prices."
        )
        raise errors.invalid_parameter(price.name("recurring"), message)
    recurring.required("interval")
    interval = recurring.choice("interval", COUNT_MAX) or ""
    given = recurring.integer("interval_count")
    count = 1 if given is None else given
    if not 1 <= count <= COUNT_MAX[interval]:
        message = f"The billing period lies between 1 and {COUNT_MAX[interval]} {interval}s"
        raise errors.invalid_parameter(recurring.name("interval_count"), message)
    return Recurring(interval, count)


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


def line_items_of(record: SessionRecord, ids: Ids) -> list[dict[str, Any]]:  # Any: JSON
    """Show a session's line items, each with a price of its own; the same at every call."""
    if record.line_items is None:
        request, created = record.request, int(record.object["created"])
        record.line_items = [
            _line_item_object(item, request.due_now(item), ids, created) for item in request.line_items
        ]
    return record.line_items


def _line_item_object(item: LineItem, amount: int, ids: Ids, created: int) -> dict[str, Any]:  # Any: JSON
    return {
        "id": ids.object("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
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
        "recurring": _recurring_object(item.recurring) if item.recurring else None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if item.recurring else "one_time",
        "unit_amount": item.unit_amount,
        "unit_amount_decimal": str(item.unit_amount),
    }


def _recurring_object(recurring: Recurring) -> dict[str, Any]:  # Any: JSON
    return {
        "interval": recurring.interval,
        "interval_count": recurring.count,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }
