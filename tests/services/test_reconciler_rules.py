"""When what is asked, as data: which statuses, and at which ages."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from services.reconciler.rules import WATCHED, ever_later, lost_rules, slow_rules
from tests.fakes.overdue_orders import DAY


def test_a_status_s_first_age_can_be_set() -> None:
    first = {rule.reason: rule.ages[:3] for rule in slow_rules({"registered": 7, "processing": 9})}

    assert (first["registered"], first["processing"]) == ((7, 14, 28), (9, 18, 36))
    assert lost_rules({"created": 5})[0].ages[:2] == (5, 10)


def test_every_watched_status_is_asked_after_but_an_open_page() -> None:
    reasons = {rule.reason for rule in (*lost_rules({}), *slow_rules({}))}

    assert set(WATCHED) - reasons == {"registered"}
    assert reasons - set(WATCHED) == {"expiry", "late_born", "appealed", "lost_again"}


def test_only_a_dispute_is_asked_after_for_as_long_as_it_lasts() -> None:
    endless = {rule.reason: (rule.ages, rule.then_every) for rule in slow_rules({}) if rule.then_every is not None}

    assert endless == {"disputed": ((DAY, 2 * DAY, 4 * DAY, 8 * DAY), 7 * DAY)}
    assert [rule for rule in lost_rules({}) if rule.then_every is not None] == []


@given(first=st.integers(1, DAY), last=st.integers(DAY, 120 * DAY))
def test_ages_double_until_a_week_and_then_come_weekly(first: int, last: int) -> None:
    ages = ever_later(first, last)

    assert ages[0] == first
    assert all(later - earlier == min(earlier, 7 * DAY) for earlier, later in itertools.pairwise(ages))
    assert ages[-1] <= last < ages[-1] + min(ages[-1], 7 * DAY)
