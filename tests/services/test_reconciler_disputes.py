"""Disputes are asked after until they are decided: of an appeal's decision, and of a second appeal, no event tells."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.disputes import disputes_of
from payonce.domain.order import view
from tests.fakes.clock import LoopClock, simulated
from tests.fakes.overdue_orders import DAY, HOUR, NOW, World, for_a_while, order_id
from tests.fakes.reconciler import OrderState
from tests.fakes.reconciler_disputes import Told, answer, facts_of
from tests.fakes.reconciler_dues import appeal_begins

LOST = (Told("needs_response", NOW - 60 * DAY), Told("lost", NOW - 40 * DAY))
APPEALED = (*LOST, Told("appeal_under_review", NOW - DAY))


@dataclass
class Dispute:
    """An order with a dispute, and a PSP that answers at once: `shown` tells its status at an age in seconds."""

    shown: Callable[[int], str]
    story: list[Told]
    since: int
    updated_at: int
    world: World = field(default_factory=World)
    #: At which ages it was asked after, and what the row said from then on.
    asked: list[int] = field(default_factory=list)
    statuses: dict[int, str] = field(default_factory=dict)

    async def lives(self, *, until: int) -> None:
        """Do the rounds of so many seconds."""
        self._fold()
        self.world.begins_at(NOW)
        process, clock = self.world.process(), LoopClock()
        while (now := int(clock.now())) < NOW + until:
            before = len(self.world.log.records)
            await process.run_once()
            if len(self.world.log.records) > before:
                self.asked.append(now - NOW)
                self.story.append(answer(self.shown(now - NOW), now))
                self.updated_at = now
                self._fold()
            await asyncio.sleep(HOUR)

    def _fold(self) -> None:
        facts = facts_of(*self.story[:4], *self.story[4:][-1:])  # of the answers only the latest counts
        status, known = view(facts).status, self.world.tables.orders.get(order_id())
        self.since = self.updated_at if known is not None and known.status != status else self.since
        order = OrderState(status, self.since, "cs_1", facts=facts, updated_at=self.updated_at)
        self.world.tables.orders[order_id()] = order
        self.statuses[self.updated_at - NOW] = status


@pytest.mark.parametrize("decided", [DAY, 16 * DAY + 5, 121 * DAY], ids=lambda at: f"on day {at // DAY}")
def test_an_appeal_that_is_lost_is_known_six_hours_later_whenever_it_is_decided(decided: int) -> None:
    """Its event looks like the one of the first decision, and what came in between was further on."""
    dispute = Dispute(
        lambda age: "lost" if age >= decided else "appeal_under_review",
        [*APPEALED, Told("lost", NOW + decided)],
        since=NOW,
        updated_at=NOW,
    )

    simulated(dispute.lives(until=decided + DAY))

    first_lost = min(at for at, status in dispute.statuses.items() if status == "charged_back")
    assert decided <= first_lost <= decided + 7 * HOUR


def test_what_is_decided_is_asked_after_ever_later_for_120_days() -> None:
    """Each answer changes the row, so the ages count from the decision: another appeal is seen within a week."""
    dispute = Dispute(lambda _: "lost", [*APPEALED, answer("lost", NOW)], since=NOW, updated_at=NOW)

    simulated(dispute.lives(until=150 * DAY))

    gaps = [later - earlier for earlier, later in itertools.pairwise((0, *dispute.asked))]
    assert [at // HOUR for at in dispute.asked[:7]] == [6, 12, 24, 48, 96, 192, 360]
    assert (len(dispute.asked), max(gaps)) == (22, 7 * DAY)
    assert 113 * DAY < dispute.asked[-1] <= 120 * DAY


def test_a_second_appeal_is_seen_within_a_week_and_then_asked_after_every_six_hours() -> None:
    """No event tells it from the first."""
    dispute = Dispute(
        lambda age: "appeal_under_review" if age > 30 * DAY else "lost",
        [*APPEALED, answer("lost", NOW)],
        since=NOW,
        updated_at=NOW,
    )

    simulated(dispute.lives(until=45 * DAY))

    [seen, *then] = [at for at in dispute.asked if at > 30 * DAY]
    assert seen <= 37 * DAY
    assert {later - earlier for earlier, later in itertools.pairwise((seen, *then))} == {6 * HOUR}


@pytest.mark.parametrize("lost_for", [30, 130], ids=lambda days: f"{days} days")
def test_an_appeal_of_what_an_answer_said_is_lost_is_asked_after_six_hours_later(lost_for: int) -> None:
    """Of an appeal and an answer that says lost, nobody knows which was first: the shop has a deadline from then on."""
    told = (*LOST, answer("lost", NOW - lost_for * DAY), Told("appeal_needs_response", NOW))
    dispute = Dispute(lambda _: "appeal_needs_response", list(told), since=NOW - lost_for * DAY, updated_at=NOW)
    assert view(facts_of(*told)).status == "charged_back"

    simulated(dispute.lives(until=DAY))

    assert dispute.asked == [6 * HOUR, 12 * HOUR, 18 * HOUR]
    assert dispute.statuses[6 * HOUR] == "disputed"
    assert dispute.world.asked()[0].psp_ids == ("cs_1", "dp_1")


def test_a_lost_dispute_without_an_appeal_is_left_alone() -> None:
    dispute = Dispute(lambda _: "lost", [*LOST, answer("lost", NOW)], since=NOW, updated_at=NOW)

    simulated(dispute.lives(until=30 * DAY))

    assert dispute.asked == []


def test_a_dispute_that_lasts_is_asked_after_weekly_and_never_given_up() -> None:
    """Whoever is told that it is stuck has no other way to learn how it ended, if its last event never came."""
    world = World()
    world.tables.orders[order_id()] = OrderState("disputed", NOW - 500 * DAY, "cs_1")
    world.begins_at(NOW)

    asked = [at for at, _ in simulated(for_a_while(world, 29 * DAY, every=HOUR))]

    assert len(asked) == 4
    assert {later - earlier for earlier, later in itertools.pairwise(asked)} == {7 * DAY}


STATUSES = ("needs_response", "won", "lost", "appeal_needs_response", "appeal_under_review")
STORIES = st.lists(
    st.builds(
        Told,
        st.sampled_from(STATUSES),
        st.integers(1, 9),
        st.just("dp_1"),
        moves=st.integers(1, 2),
        is_answer=st.booleans(),
    ),
    max_size=7,
)


@given(STORIES)
def test_whatever_was_told_an_order_with_an_open_appeal_is_asked_after_every_six_hours(story: list[Told]) -> None:
    facts = facts_of(*story)
    is_open = any(dispute.status.startswith("appeal_") for dispute in disputes_of(facts))

    begins = appeal_begins(view(facts).status, facts, NOW, NOW + 5)

    assert not is_open or begins["appealed"] == NOW + 5
