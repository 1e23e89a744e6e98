"""List calls: the created range, cursors and the list object; newest first, as Stripe lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.stripe_simulator import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.stripe_simulator.parameters import Parameters
    from sandbox.stripe_simulator.state import Collection, Json

PAGING = frozenset({"created", "ending_before", "expand", "limit", "starting_after"})
_LIMIT_DEFAULT = 10
_LIMIT_MAX = 100
_RANGE = frozenset({"gt", "gte", "lt", "lte"})


def created_range(parameters: Parameters, items: Collection[Any]) -> range:  # Any: every kind of object
    """Find the positions that the filter `created` leaves: a time, or a hash of bounds."""
    if not parameters.is_hash("created"):
        exact = parameters.integer("created")
        if exact is None:
            return range(len(items))
        return range(items.first_since(exact), items.first_since(exact + 1))
    bounds = parameters.child("created", _RANGE)
    gt, gte, lt, lte = (bounds.integer(name) if bounds else None for name in ("gt", "gte", "lt", "lte"))
    lows = [items.first_since(bound) for bound in (gte, None if gt is None else gt + 1) if bound is not None]
    highs = [items.first_since(bound) for bound in (lt, None if lte is None else lte + 1) if bound is not None]
    return range(max(lows, default=0), min(highs, default=len(items)))


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list call may show: the items at `positions` that match. Any: every kind of object."""

    kind: str
    items: Collection[Any]
    positions: range
    matches: Callable[[Any], bool]


def page(parameters: Parameters, url: str, selection: Selection) -> Json:
    """Show one page, newest first. Raises ApiError for an unknown cursor or a bad limit.

    `ending_before` gives the page that stands just before the cursor, also newest first.
    """
    limit = parameters.integer("limit")
    limit = _LIMIT_DEFAULT if limit is None else limit
    if not 1 <= limit <= _LIMIT_MAX:
        raise errors.invalid_parameter("limit", f"This value must be between 1 and {_LIMIT_MAX}.")
    after, before = parameters.string("starting_after"), parameters.string("ending_before")
    if after and before:
        message = "You cannot parameterize with both starting_after and ending_before."
        raise errors.invalid_parameter("starting_after", message)
    start, stop = selection.positions.start, selection.positions.stop
    if after:
        stop = min(stop, _cursor(selection, "starting_after", after))
    if before:
        start = max(start, _cursor(selection, "ending_before", before) + 1)
    walk = range(start, stop) if before else range(stop - 1, start - 1, -1)
    found = _first_matches(selection, walk, limit + 1)
    data = found[:limit]
    return {"object": "list", "data": data[::-1] if before else data, "has_more": len(found) > limit, "url": url}


def _cursor(selection: Selection, name: str, item_id: str) -> int:
    position = selection.items.position(item_id)
    if position is None:
        raise errors.missing_resource(selection.kind, item_id, name)
    return position


def _first_matches(selection: Selection, walk: range, most: int) -> list[Json]:
    found: list[Json] = []
    for position in walk:
        item = selection.items.at(position)
        if selection.matches(item):
            found.append(selection.items.view(item))
            if len(found) == most:
                break
    return found
