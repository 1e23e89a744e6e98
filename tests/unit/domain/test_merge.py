"""The laws of merging, on any JSON object: they need no knowledge of what a fact means."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from payonce.domain.merge import Facts, merge

_LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, 0.5]) | st.text("ab", max_size=2)
)
_KEYS = st.sampled_from("abc")
_JSON: st.SearchStrategy[Any] = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=8
)
_FACTS = st.dictionaries(_KEYS, _JSON, max_size=3)


def text(facts: Facts) -> str:
    """Return the JSON text: 1, 1.0 and true are equal to Python, but not to a reader of the column."""
    return json.dumps(facts, sort_keys=True)


@example({"a": 1}, {"a": 1.0})
@example({"a": [1]}, {"a": [True]})
@example({"a": [0.0]}, {"a": [-0.0]})
@given(_FACTS, _FACTS)
def test_merge_is_commutative(left: Facts, right: Facts) -> None:
    assert text(merge(left, right)) == text(merge(right, left))


@given(_FACTS, _FACTS, _FACTS)
def test_merge_is_associative(one: Facts, two: Facts, three: Facts) -> None:
    assert text(merge(merge(one, two), three)) == text(merge(one, merge(two, three)))


@given(_FACTS)
def test_merge_is_idempotent_and_nothing_is_neutral(facts: Facts) -> None:
    assert text(merge(facts, facts)) == text(facts)
    assert text(merge(facts, {})) == text(facts)
    assert text(merge({}, facts)) == text(facts)


@given(_FACTS, _FACTS)
def test_merge_survives_a_round_trip_through_json(left: Facts, right: Facts) -> None:
    assert text(merge(json.loads(text(left)), json.loads(text(right)))) == text(merge(left, right))


@given(_FACTS, _FACTS)
def test_merge_changes_neither_side(left: Facts, right: Facts) -> None:
    before = text(left), text(right)
    merge(left, right)

    assert (text(left), text(right)) == before


@given(_FACTS, _FACTS)
def test_what_adds_nothing_returns_the_very_same_facts(left: Facts, right: Facts) -> None:
    """So that a fold can tell "no change" without comparing."""
    both = merge(left, right)

    assert merge(both, right) is both
    assert merge(both, json.loads(text(left))) is both


@given(_FACTS, _FACTS)
def test_merge_loses_no_key(left: Facts, right: Facts) -> None:
    assert merge(left, right).keys() == left.keys() | right.keys()
