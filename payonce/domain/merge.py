"""The one rule by which facts are merged: mappings join key by key, of two other values the greater stays.

That makes any JSON object a join semilattice, so merging is commutative, associative and idempotent whatever the facts
are called. A fact is therefore written such that *more known is greater* (see `facts`); and facts of a newer version of
this program, unknown here, are still merged exactly as that version would. No fact is ever removed or interpreted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: A JSON object: what is known of an order. Never changed in place, so that merges may share parts of it.
Facts = Mapping[str, Any]  # Any: JSON


def merge(left: Facts, right: Facts) -> Facts:
    """Return everything that either side knows: `left` itself if `right` adds nothing. Total over JSON objects."""
    merged: dict[str, Any] | None = None
    for key, theirs in right.items():
        if key in left:
            ours = left[key]
            joined = _join(ours, theirs)
            if joined is ours:
                continue
        else:
            joined = theirs
        if merged is None:
            merged = dict(left)
        merged[key] = joined
    return left if merged is None else merged


def _join(ours: Any, theirs: Any) -> Any:
    kind = type(ours)
    if kind is type(theirs):
        if kind is dict:
            return merge(ours, theirs)
        if kind is int or kind is str:
            return theirs if theirs > ours else ours  # noqa: FURB136  (keeps the identity of `ours`, and no call)
    if ours is theirs:
        return ours
    return theirs if _rank(theirs) > _rank(ours) else ours


def _rank(value: Any) -> tuple[Any, ...]:
    """Place any JSON value in one total order: null, booleans, numbers, texts, lists, objects."""
    match value:
        case None:
            return (0,)
        case bool():
            return (1, value)
        case int() | float():
            return (2, value, repr(value))  # 1 and 1.0 are different texts, so they need an order too
        case str():
            return (3, value)
        case Mapping():
            return (5, *sorted((key, _rank(item)) for key, item in value.items()))
        case _:
            return (4, *map(_rank, value))
