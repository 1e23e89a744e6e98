"""`expand[]`: ids replaced by the objects they name, in a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.errors import invalid_parameter

if TYPE_CHECKING:
    from sandbox.stripe_simulator.state import Json, Store

_DEPTH_MAX = 4


def expanded(answer: Json, paths: list[str], store: Store) -> Json:
    """The answer with `paths` expanded; in lists they begin with `data.`. Raises ApiError (400) for other paths."""
    for path in paths:
        steps = path.split(".")
        if len(steps) > _DEPTH_MAX:
            raise invalid_parameter("expand", f"You cannot expand more than {_DEPTH_MAX} levels: {path}")
        answer = _expand(answer, steps, path, store)
    return answer


def _expand(value: Json, steps: list[str], path: str, store: Store) -> Json:
    name, rest = steps[0], steps[1:]
    if name == "data" and value["object"] == "list" and rest:
        return {**value, "data": [_expand(element, rest, path, store) for element in value["data"]]}
    expandable = _expandable(value, name, path, store)
    if expandable is not None and rest:
        expandable = _expand(expandable, rest, path, store)
    return {**value, name: expandable}


def _expandable(value: Json, name: str, path: str, store: Store) -> Json | None:
    """The object that `value[name]` names; what is already expanded stays."""
    present = value.get(name)
    if isinstance(present, dict):
        return present
    match value["object"], name:
        case ("checkout.session", "line_items"):
            return line_items_list(value["id"], store)
        case ("checkout.session" | "charge", "payment_intent"):
            return store.payment_intents[present] if present else None
        case ("payment_intent", "latest_charge"):
            return store.charges[present] if present else None
        case _:
            message = f"This property cannot be expanded ({path})."
            raise invalid_parameter("expand", message)


def line_items_list(session_id: str, store: Store) -> Json:
    return {
        "object": "list",
        "data": store.sessions[session_id].line_items,
        "has_more": False,
        "url": f"/v1/checkout/sessions/{session_id}/line_items",
    }
