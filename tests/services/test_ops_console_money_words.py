"""Which edits take a second person: those of how much, in what, how often, and whose money it is."""

from __future__ import annotations

import pytest

from services.ops_console.editing import Difference, concerns_money


@pytest.mark.parametrize(
    "path",
    [
        "terms.amount",
        "terms.currency",
        "terms.recurring.interval",
        "terms.recurring.interval_count",
        "terms.recurring.trial_days",
        "data.object.amount_total",
        "data.object.payment_status",
        "order_id",
    ],
)
def test_an_edit_of_money_takes_a_second_person(path: str) -> None:
    assert concerns_money(Difference(path, 1, 2))


@pytest.mark.parametrize("path", ["terms.description", "terms.customer_email", "terms.redirect_url", "api_version"])
def test_an_edit_of_words_does_not(path: str) -> None:
    assert not concerns_money(Difference(path, "a", "b"))
