"""`expand[]`: ids replaced by the objects they name, in a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.stripe_simulator.errors import invalid_parameter

if TYPE_CHECKING:
    from sandbox.stripe_simulator.simulator import Simulator
    from sandbox.stripe_simulator.state import Collection, Json

_DEPTH_MAX = 4
# Where the objects are that a property names, and which objects have such properties.
_COLLECTIONS = {
    "balance_transaction": "balance_transactions",
    "charge": "charges",
    "customer": "customers",
    "failure_balance_transaction": "balance_transactions",
    "invoice": "invoices",
    "latest_charge": "charges",
    "latest_invoice": "invoices",
    "payment_intent": "payment_intents",
    "subscription": "subscriptions",
}
_EXPANDABLE = {
    "checkout.session": {"customer", "invoice", "payment_intent", "subscription"},
    "payment_intent": {"customer", "latest_charge"},
    "charge": {"customer", "payment_intent"},
    "subscription": {"customer", "latest_invoice"},
    "invoice": {"customer"},
    "invoice_payment": {"invoice"},
    "": {"payment_intent", "subscription"},  # hashes inside objects: a payment, the details of a parent
    "dispute": {"charge", "payment_intent"},
    "refund": {"balance_transaction", "charge", "failure_balance_transaction", "payment_intent"},
}


def expanded(answer: Json, paths: list[str], simulator: Simulator) -> Json:
    """Expand `paths` in a copy; in lists they begin with `data.`. Raises ApiError (400) for other paths."""
    for path in paths:
        steps = path.split(".")
        if len(steps) > _DEPTH_MAX:
            raise invalid_parameter("expand", f"You cannot expand more than {_DEPTH_MAX} levels: {path}")
        answer = _expand(answer, steps, path, simulator)
    return answer


def _expand(value: Json, steps: list[str], path: str, simulator: Simulator) -> Json:
    name, rest = steps[0], steps[1:]
    if name == "data" and value.get("object") == "list" and rest:
        return {**value, "data": [_expand(element, rest, path, simulator) for element in value["data"]]}
    expandable = _expandable(value, name, path, simulator)
    if expandable is not None and rest:
        expandable = _expand(expandable, rest, path, simulator)
    return {**value, name: expandable}


def _expandable(value: Json, name: str, path: str, simulator: Simulator) -> Json | None:
    """Look up the object that `value[name]` names; what is already expanded stays."""
    store = simulator.store
    present = value.get(name)
    if isinstance(present, dict):
        return present
    kind = value.get("object", "")
    if (kind, name) == ("checkout.session", "line_items"):
        return simulator.sessions.line_items(store.sessions[value["id"]])
    if (kind, name) == ("invoice", "payments"):
        return simulator.invoices.payments_of(value)
    collection = _COLLECTIONS.get(name)
    if collection is None or name not in _EXPANDABLE.get(kind, ()):
        raise invalid_parameter("expand", f"This property cannot be expanded ({path}).")
    items: Collection[Any] = getattr(store, collection)  # Any: every kind of object
    return items.view(items[present]) if present else None
