"""When a ReconcilerStore says that orders are due, asked of the fake and of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from payonce.domain.proofs import SCAN_PROOF
from payonce.ports import DueOrder, DueRule, Mark
from tests.fakes.reconciler import LedgerRow
from tests.fakes.reconciler_disputes import Told, answer, facts_of
from tests.fakes.reconciler_tables import NOW, WORLDS, Fake, World, empty_world

RULES = (DueRule("created", (100, 200, 400)), DueRule("registered", (1_000,)), DueRule("expiry", (900,)))
BEGIN = Mark(NOW)


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Empty tables and two stores, of which none has the lock."""
    yield from empty_world(request)


async def test_an_order_is_due_at_the_ages_of_its_status_and_only_at_the_latest(world: World) -> None:
    await world.first.acquire()
    world.order("ord_a", "created", NOW, token="cs_1")
    world.order("ord_b", "registered", NOW)
    world.order("ord_c", "paid", NOW)

    async def due(after: int, until: int) -> list[DueOrder]:
        return list(await world.first.due_orders(RULES, after=Mark(NOW + after), until=NOW + until, limit=10))

    assert await due(0, 99) == []
    assert await due(99, 100) == [DueOrder("ord_a", NOW + 100, "created", ("cs_1",))]
    assert await due(100, 199) == []
    assert await due(0, 5_000) == [
        DueOrder("ord_a", NOW + 400, "created", ("cs_1",)),
        DueOrder("ord_b", NOW + 1_000, "registered"),
    ]


async def test_an_open_page_is_due_after_its_expiry(world: World) -> None:
    await world.first.acquire()
    world.order("ord_a", "registered", NOW, "cs_1", expires=NOW + 10_000)

    found = await world.first.due_orders(RULES, after=Mark(NOW + 2_000), until=NOW + 20_000, limit=10)

    assert found == [DueOrder("ord_a", NOW + 10_900, "expiry", ("cs_1",))]


@pytest.mark.parametrize("every", [1_000, None])
async def test_after_the_last_age_an_order_is_due_again_and_again_where_the_rule_says_so(
    world: World, every: int | None
) -> None:
    await world.first.acquire()
    world.order("ord_a", "disputed", NOW)
    rules = (DueRule("disputed", (300, 600), then_every=every), DueRule("created", (100, 200)))

    async def due(after: int, until: int) -> list[int]:
        found = await world.first.due_orders(rules, after=Mark(NOW + after), until=NOW + until, limit=10)
        return [order.due_at - NOW for order in found]

    assert [await due(0, 599), await due(300, 600), await due(600, 1_599)] == [[300], [600], []]
    again = [await due(1_599, 1_600), await due(1_600, 2_599), await due(0, 900_000), await due(5_600, 6_601)]
    assert again == ([[], [], [600], []] if every is None else [[1_600], [], [899_600], [6_600]])


async def test_of_two_reasons_at_one_time_the_same_is_given_everywhere(world: World) -> None:
    await world.first.acquire()
    world.order("ord_a", "processing", NOW, "cs_1", expires=NOW)

    rules = (DueRule("processing", (900,)), DueRule("expiry", (900,)))

    [found] = await world.first.due_orders(rules, after=BEGIN, until=NOW + 900, limit=9)
    assert found.reason == "processing"


ATTEMPTS = {
    "unknown": LedgerRow("ord_a", "unknown", NOW, NOW + 9_000),
    "cancelled": LedgerRow("ord_a", "cancelled", NOW, NOW + 9_000),
    "failed by a scan": LedgerRow("ord_a", "failed", NOW, NOW + 9_000, proof=f"{SCAN_PROOF}60 s after the last try"),
    "refused": LedgerRow("ord_a", "failed", NOW, NOW + 9_000, proof="HTTP 400 to the first request with this key"),
    "failed without a proof": LedgerRow("ord_a", "failed", NOW, NOW + 9_000),
    "failed with a session": LedgerRow("ord_a", "failed", NOW, NOW + 9_000, "cs_1"),
    "expired": LedgerRow("ord_a", "expired", NOW, NOW + 9_000),
    "rejected": LedgerRow("ord_a", "rejected", NOW, NOW + 9_000),
    "open": LedgerRow("ord_a", "open", NOW, NOW + 9_000, "cs_1"),
    "used": LedgerRow("ord_a", "used", NOW, NOW + 9_000, "cs_1"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_an_attempt_whose_session_may_be_born_late_is_due_thrice(world: World, attempt: str) -> None:
    await world.first.acquire()
    world.attempt(ATTEMPTS[attempt])
    rules = (DueRule("late_born", (600, 3_600)), DueRule("expiry", (900,)))
    times = []

    for begin in range(NOW, NOW + 12_000, 300):
        found = await world.first.due_orders(rules, after=Mark(begin), until=begin + 300, limit=10)
        times += [(order.due_at - NOW, order.reason) for order in found]

    thrice = [(600, "late_born"), (3_600, "late_born"), (9_900, "late_born")]
    assert times == (thrice if attempt in {"unknown", "cancelled", "failed by a scan"} else [])


async def test_batches_are_limited_and_the_next_begins_where_the_last_ended_even_within_one_second(
    world: World,
) -> None:
    await world.first.acquire()
    for name, at in (("ord_d", 3), ("ord_c", 2), ("ord_B", 2), ("ord_a", 1), ("ord_e", 2)):
        world.order(name, "created", NOW + at)
    asked, mark = [], BEGIN

    while found := await world.first.due_orders(RULES, after=mark, until=NOW + 199, limit=2):
        asked += [(order.order_id, order.due_at - NOW) for order in found]
        assert len(found) <= 2
        mark = Mark.at(found[-1].due_at, found[-1].order_id)

    assert asked == [("ord_a", 101), ("ord_B", 102), ("ord_c", 102), ("ord_e", 102), ("ord_d", 103)]


async def test_an_order_is_asked_after_with_its_disputes(world: World) -> None:
    """A subscription's dispute of an invoice in between is reached by nothing else."""
    await world.first.acquire()
    world.order("ord_a", "disputed", NOW, "cs_1", facts=facts_of(Told("lost", NOW, "dp_2"), Told("lost", NOW, "dp_1")))
    world.order("ord_b", "disputed", NOW, facts=facts_of(Told("needs_response", NOW, "du_1")))

    found = await world.first.due_orders((DueRule("disputed", (60,)),), after=BEGIN, until=NOW + 60, limit=9)

    assert [order.psp_ids for order in found] == [("cs_1", "dp_1", "dp_2"), ("du_1",)]


LOST, APPEALED = Told("lost", 10), Told("appeal_under_review", 20)
#: What was told, and whether the appeal's decision is still to be asked for.
STORIES: dict[str, tuple[tuple[Told, ...], bool]] = {
    "appealed": ((LOST, APPEALED), True),
    "appealed, and perhaps lost again": ((LOST, APPEALED, Told("lost", 30)), True),
    "appealed, as an answer says": ((LOST, answer("appeal_under_review", 20)), True),
    "appealed after the answer": ((LOST, answer("lost", 15), APPEALED), True),
    "appealed in the answer's second": ((LOST, answer("lost", 20), APPEALED), True),
    "appealed further after the answer": (
        (LOST, Told("appeal_needs_response", 14), answer("lost", 15), APPEALED),
        True,
    ),
    "taken again after the answer": ((LOST, answer("lost", 30), Told("appeal_under_review", 20, moves=3)), True),
    "one of two": ((LOST, APPEALED, Told("lost", 20, "dp_2")), True),
    "lost again, as an answer says": ((LOST, APPEALED, answer("lost", 21)), False),
    "won on appeal": ((LOST, APPEALED, Told("won", 30, moves=2)), False),
    "lost": ((LOST,), False),
    "never decided": ((Told("under_review", 10),), False),
    "no dispute": ((), False),
}


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("status", ["disputed", "charged_back"])
async def test_an_appeal_is_asked_after_by_the_row_s_last_change_until_an_answer_shows_its_decision(
    world: World, status: str, story: str
) -> None:
    told, is_unanswered = STORIES[story]
    await world.first.acquire()
    world.order("ord_a", status, NOW - 500 * 86_400, facts=facts_of(*told), updated_at=NOW - 600)

    found = await world.first.due_orders((DueRule("appealed", (600,)),), after=Mark(NOW - 1), until=NOW, limit=9)

    assert [(order.due_at, order.reason) for order in found] == ([(NOW, "appealed")] if is_unanswered else [])


@pytest.mark.parametrize(
    ("status", "story"),
    [("charged_back", (LOST,)), ("disputed", (LOST, APPEALED)), ("paid", (LOST, APPEALED)), ("charged_back", ())],
)
async def test_what_is_lost_after_an_appeal_is_asked_after_by_when_that_was_and_nothing_else(
    world: World, status: str, story: tuple[Told, ...]
) -> None:
    await world.first.acquire()
    again = facts_of(LOST, APPEALED, answer("lost", 30))
    world.order("ord_a", "charged_back", NOW - 600, facts=again, updated_at=NOW - 5)
    world.order("ord_b", status, NOW - 600, facts=facts_of(*story), updated_at=NOW - 600)

    found = await world.first.due_orders((DueRule("lost_again", (600,)),), after=Mark(NOW - 1), until=NOW, limit=9)

    assert found == [DueOrder("ord_a", NOW, "lost_again", ("dp_1",))]


async def test_an_appeal_whose_facts_are_older_than_its_date_is_answered_by_any_decision(world: World) -> None:
    await world.first.acquire()
    facts = facts_of(LOST, APPEALED, answer("lost", 5))
    del facts["disputes"]["dp_1"]["seen"]
    world.order("ord_a", "charged_back", NOW - 600, facts=facts)

    found = await world.first.due_orders((DueRule("appealed", (600,)),), after=Mark(NOW - 1), until=NOW, limit=9)

    assert found == []


async def test_a_row_from_before_its_status_was_dated_is_as_old_as_its_last_change(world: World) -> None:
    if isinstance(world, Fake):
        pytest.skip("the fake has no such rows")
    await world.first.acquire()
    world.order("ord_a", "created", None, updated_at=NOW)

    [found] = await world.first.due_orders(RULES, after=BEGIN, until=NOW + 100, limit=9)
    [age] = await world.first.ages({"created": 5})

    assert (found.due_at, age.oldest_since) == (NOW + 100, NOW)
