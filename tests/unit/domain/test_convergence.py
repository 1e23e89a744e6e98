"""Any order, repetition and split into batches of an order's messages gives the same facts and the same view."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.order import Facts, merge, view
from tests.unit.domain.lives import Life, fold_life, lives

STATUSES = frozenset({
    "created", "registered", "processing", "paid", "failed", "expired", "registration_failed", "refunded",
    "partially_refunded", "disputed", "charged_back", "active", "past_due", "unpaid", "ended", "cancelled",
})  # fmt: skip


def text(facts: Facts) -> str:
    return json.dumps(facts, sort_keys=True)


@settings(max_examples=150, deadline=None)
@given(st.data(), lives())
def test_any_order_and_any_repetition_gives_the_same_order(data: st.DataObject, life: Life) -> None:
    repeated = data.draw(st.lists(st.sampled_from(life), max_size=6))
    seen = data.draw(st.permutations(life + repeated))
    expected, actual = fold_life(life), fold_life(seen)

    assert text(actual) == text(expected)
    assert view(actual) == view(expected)


@settings(max_examples=150, deadline=None)
@given(st.data(), lives())
def test_any_split_into_batches_merged_in_any_order_gives_the_same_order(data: st.DataObject, life: Life) -> None:
    size = data.draw(st.integers(1, len(life)))
    seen = data.draw(st.permutations(life))
    batches = [fold_life(seen[start : start + size]) for start in range(0, len(seen), size)]
    merged: Facts = {}
    for batch in data.draw(st.permutations(batches)):
        merged = merge(batch, merged)

    assert text(merged) == text(fold_life(life))
    assert view(merged) == view(fold_life(life))


@settings(max_examples=100, deadline=None)
@given(lives())
def test_facts_of_a_life_survive_the_column(life: Life) -> None:
    """The column is JSON: the view must not depend on anything JSON does not keep."""
    facts = fold_life(life)
    restored = json.loads(text(facts))

    assert restored == facts
    assert view(restored) == view(facts)


@settings(max_examples=100, deadline=None)
@given(lives())
def test_every_prefix_of_a_life_has_a_view(life: Life) -> None:
    facts: Facts = {}
    for message in life:
        facts = fold_life([message], facts)
        seen = view(facts)

        assert seen.status in STATUSES
        assert list(seen.flags) == sorted(seen.flags)
        assert seen.hosted_page_url is None or seen.status == "registered"


_NEWER = st.dictionaries(
    st.sampled_from(["x_attempts", "x_settled"]),
    st.dictionaries(st.text("xy"), st.integers() | st.text("z")),
    min_size=1,
)


@settings(max_examples=100, deadline=None)
@given(st.data(), lives(), _NEWER)
def test_facts_of_a_newer_version_are_carried_through(
    data: st.DataObject, life: Life, newer: dict[str, dict[str, object]]
) -> None:
    """In a rolling deploy an older process folds orders that a newer one has touched."""
    carried = fold_life(data.draw(st.permutations(life)), newer)

    assert {name: carried[name] for name in newer} == newer
    assert view(carried) == view(fold_life(life))
