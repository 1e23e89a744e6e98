"""CancelSubscription and its outcome: names that do not change, and no fact that the PSP has not announced itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.commands import CancelSubscription
from payonce.domain.events import SubscriptionCancelAccepted
from payonce.domain.order import contribution
from tests.unit.domain import factories as make

COMMAND = CancelSubscription(make.ORDER_ID, "sub_1", "period_end", 1_790_000_000, "2026-10-28.endive")
ACCEPTED = SubscriptionCancelAccepted(make.ORDER_ID, COMMAND.command_id, "sub_1", "period_end", "active", 1_792_600_000)
POSITION = ("topic", 0, 7)


def test_the_same_subscription_and_end_are_the_same_command_whenever_it_is_sent() -> None:
    later = replace(COMMAND, issued_at=COMMAND.issued_at + 60, api_version="2027-01-01.next")

    assert later.command_id == COMMAND.command_id


@pytest.mark.parametrize(
    "other",
    [replace(COMMAND, at="now"), replace(COMMAND, subscription="sub_2"), replace(COMMAND, order_id="ord_" + "a" * 26)],
    ids=["end", "subscription", "order"],
)
def test_another_end_subscription_or_order_is_another_command(other: CancelSubscription) -> None:
    assert other.command_id != COMMAND.command_id


def test_a_command_changes_nothing_and_says_why() -> None:
    adds = contribution(COMMAND, position=POSITION)

    assert (adds.order_id, adds.facts, adds.references) == (make.ORDER_ID, {}, {})
    assert adds.reason


@pytest.mark.parametrize("status", ["active", "canceled"])
def test_what_was_accepted_is_no_fact_but_tells_whose_the_subscription_is(status: str) -> None:
    """It ends when the PSP says so: until then an answer that is old, or was undone, must not show it as ended."""
    adds = contribution(replace(ACCEPTED, status=status), position=POSITION)

    assert (adds.order_id, adds.facts, adds.references) == (make.ORDER_ID, {}, {"sub_1": None})
    assert "period_end" in (adds.reason or "")


def test_the_outcome_of_a_command_has_one_name() -> None:
    assert replace(ACCEPTED, status="canceled", ends_at=None).event_id == ACCEPTED.event_id
    assert replace(ACCEPTED, command_id="cmd_other").event_id != ACCEPTED.event_id
