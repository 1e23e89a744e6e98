"""Events that no webhook has brought: none is passed over, whatever ends the process, and repetition costs little."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.codec import decode
from payonce.domain import contributions
from payonce.domain.events import PspEvent
from payonce.domain.psp_webhooks import WANTED_TYPES
from payonce.ports import GatewayFailure, Mark, PublishFailed, StoreUnavailable
from sandbox.stripe_simulator.config import ENABLED_EVENTS
from services.reconciler.missed_events import EVENTS_TASK, TYPE_GROUPS, MissedEvents
from services.reconciler.rules import HORIZON_SECONDS, OVERLAP_SECONDS, windows
from services.status_processor.reading import Unfoldable, read
from tests.fakes.clock import START, LoopClock, simulated
from tests.fakes.log import as_read
from tests.fakes.reconciler import FakePsp, FakeReconcilerStore, ReconcilerTables, SteppedLog, psp_event

NOW = int(START)
GRACE = 60
ORDER = "ord_" + "a" * 26


@dataclass
class World:
    """One PSP, one database, one log; processes come and go."""

    psp: FakePsp = field(default_factory=FakePsp)
    tables: ReconcilerTables = field(default_factory=ReconcilerTables)
    log: SteppedLog = field(default_factory=SteppedLog)

    def process(self, step: Callable[[str], None] = lambda _name: None) -> MissedEvents:
        """A new process that holds the lock."""
        store = FakeReconcilerStore(self.tables, step)
        self.tables.holder = store
        self.psp.step = self.log.step = step
        return MissedEvents(self.psp, store, self.log, LoopClock(), grace_seconds=GRACE)

    def published(self) -> list[str]:
        return [orjson.loads(record.value or b"")["id"] for record in self.log.records]


def test_a_missed_event_is_published_as_if_it_had_been_pushed() -> None:
    world = World()
    event = psp_event("evt_1", NOW - 100, metadata={"order_id": ORDER})
    world.psp.has(event)

    simulated(world.process().since_watermark())

    [record] = world.log.records
    assert (record.topic, record.key, record.value) == ("payments.webhooks", ORDER.encode(), orjson.dumps(event))
    headers = dict(record.headers)
    assert (headers["ce_id"], headers["stripe-event-type"]) == (b"evt_1", b"payment_intent.succeeded")
    message = decode(as_read(record))
    assert isinstance(message, PspEvent)
    assert world.tables.watermarks == {EVENTS_TASK: Mark(NOW - GRACE)}


def test_what_is_folded_or_waiting_is_left_out() -> None:
    world = World()
    world.psp.has(*(psp_event(name, NOW - 100) for name in ("evt_folded", "evt_waiting", "evt_missed")))
    world.tables.timeline.add(("evt_folded", NOW - 100))
    world.tables.waiting["evt_waiting"] = (("pi_1",), NOW - 90)

    simulated(world.process().since_watermark())

    assert world.published() == ["evt_missed"]


def test_an_event_that_may_still_be_on_its_way_is_not_missed_yet_but_in_a_later_round() -> None:
    world = World()
    world.psp.has(psp_event("evt_young", NOW - GRACE + 1))

    async def two_rounds() -> list[str]:
        process = world.process()
        await process.since_watermark()
        early = world.published()
        await asyncio.sleep(2)
        await process.since_watermark()
        return early

    assert simulated(two_rounds()) == []
    assert world.published() == ["evt_young"]


def test_an_event_listed_late_is_found_in_the_overlap_and_published_once() -> None:
    world = World()

    async def rounds() -> None:
        process = world.process()
        await process.since_watermark()
        world.psp.has(psp_event("evt_late", NOW - GRACE - OVERLAP_SECONDS + 5))
        for _ in range(3):
            await process.since_watermark()

    simulated(rounds())

    assert world.published() == ["evt_late"]


def test_many_pages_and_every_wanted_type_are_walked_through() -> None:
    world = World(psp=FakePsp(page_size=2))
    events = [psp_event(f"evt_{n}", NOW - 200 + n // 3, kind) for n, kind in enumerate(WANTED_TYPES)]
    world.psp.has(*events)

    simulated(world.process().since_watermark())

    assert sorted(world.published()) == sorted(event["id"] for event in events)


@pytest.mark.parametrize("failing", ["events", "unknown_events", "publish", "advance", "watermark"])
def test_whatever_step_the_process_ends_at_the_watermark_passes_no_unpublished_event(failing: str) -> None:
    """A crash at any single step, then a new process: everything is in the log, and never was the watermark ahead."""
    for crash_at in range(1, 40):
        world = World(psp=FakePsp(page_size=2))
        events = [psp_event(f"evt_{n}", NOW - GRACE - 3_000 + n * 300) for n in range(9)]
        world.psp.has(*events)
        world.tables.watermarks[EVENTS_TASK] = Mark(NOW - 3_000)
        steps = iter(range(1, 1_000))

        def step(name: str, steps: object = steps, crash_at: int = crash_at) -> None:
            if name == failing and next(steps) == crash_at:  # type: ignore[call-overload]
                raise PublishFailed("the process ends here")

        with contextlib.suppress(PublishFailed):
            simulated(world.process(step).since_watermark())
        published = set(world.published())
        later = [event for event in events if event["created"] >= NOW - 3_000]  # the others are in the overlap only
        unpublished = [event["created"] for event in later if event["id"] not in published]
        assert world.tables.watermarks[EVENTS_TASK] <= Mark(min(unpublished, default=NOW))

        simulated(world.process().since_watermark())

        assert set(world.published()) == {event["id"] for event in events}
        assert world.tables.watermarks[EVENTS_TASK] == Mark(NOW - GRACE)


@given(done=st.none() | st.integers(NOW - 2 * HORIZON_SECONDS, NOW + 10_000))
def test_windows_join_without_a_gap_from_the_overlap_to_the_target(done: int | None) -> None:
    found = list(windows(done, NOW))

    assert found[-1].end == NOW
    assert [each.begin for each in found[1:]] == [each.end for each in found[:-1]]
    expected = min(done if done is not None else NOW, NOW) - OVERLAP_SECONDS
    assert found[0].begin == max(expected, NOW - HORIZON_SECONDS)
    # The first step alone must move the watermark, or a long overlap would be repeated for ever.
    assert found[0].end > expected + OVERLAP_SECONDS or found[0].end == NOW


def test_a_long_absence_is_made_up_for_window_by_window() -> None:
    """A process that ends in between has kept what it did: the next one goes on from there."""
    world = World()
    world.tables.watermarks[EVENTS_TASK] = Mark(NOW - 86_400)
    reached = []

    def step(name: str) -> None:
        reached.append(world.tables.watermarks[EVENTS_TASK])

    simulated(world.process(step).since_watermark())

    assert sorted(set(reached)) == list(dict.fromkeys(reached))
    assert len(set(reached)) > 50


def test_without_the_lock_nothing_is_published() -> None:
    world = World()
    world.psp.has(psp_event("evt_1", NOW - 100))
    process = world.process()

    def lose(name: str) -> None:
        if name == "unknown_events":
            world.tables.holder = object()

    process._store.step = lose  # type: ignore[attr-defined]
    with pytest.raises(StoreUnavailable):
        simulated(process.since_watermark())

    assert world.log.records == []


def test_events_that_could_not_be_delivered_are_found_whatever_the_watermark_says() -> None:
    world = World()
    world.tables.watermarks[EVENTS_TASK] = Mark(NOW)
    world.psp.has(psp_event("evt_old", NOW - 20 * 86_400), undelivered=True)
    world.psp.has(psp_event("evt_delivered", NOW - 20 * 86_400))

    simulated(world.process().undelivered())

    assert world.published() == ["evt_old"]


def test_a_long_list_of_undelivered_events_is_gone_through_over_several_rounds() -> None:
    world = World(psp=FakePsp(page_size=2))
    world.psp.has(*(psp_event(f"evt_{n}", NOW - 5_000 + n) for n in range(24)), undelivered=True)

    async def rounds() -> tuple[int, int]:
        process = world.process()
        await process.undelivered()
        first = len(world.published())
        await process.undelivered()
        await process.undelivered()
        return first, len(world.published())

    first, all_of_them = simulated(rounds())

    assert (first, all_of_them) == (10, 24)
    assert len(set(world.published())) == 24


def test_a_cursor_that_the_psp_has_forgotten_makes_it_begin_at_the_top() -> None:
    world = World(psp=FakePsp(page_size=2))
    world.psp.has(*(psp_event(f"evt_{n}", NOW - 5_000 + n) for n in range(24)), undelivered=True)

    async def rounds() -> None:
        process = world.process()
        await process.undelivered()
        world.psp.undelivered -= set(world.published())  # they have been delivered meanwhile
        with pytest.raises(GatewayFailure):
            await process.undelivered()
        await process.undelivered()

    simulated(rounds())

    assert len(set(world.published())) > 10


def test_every_wanted_type_is_asked_for_within_the_psp_s_limit_and_is_one_that_the_fold_knows() -> None:
    assert [kind for group in TYPE_GROUPS for kind in group] == list(WANTED_TYPES)
    assert max(map(len, TYPE_GROUPS)) <= 20
    known = tuple(prefix for prefix, _ in contributions._KINDS)
    assert [kind for kind in WANTED_TYPES if not kind.startswith(known)] == []
    assert set(WANTED_TYPES) >= ENABLED_EVENTS


#: What Stripe's JSON makes of 150,000 Chinese characters, the most evidence that it takes.
EVIDENCE = {"uncategorized_text": "\\u8a3c" * 150_000}


def test_an_event_too_large_for_the_log_is_published_without_the_evidence_and_holds_nothing_up() -> None:
    """The door has refused it, so the PSP keeps it for us; taken for an outage it would hold the watermark for ever."""
    world = World()
    large = psp_event("evt_large", NOW - 100, "charge.dispute.updated", evidence=EVIDENCE, amount=5)
    large["data"]["previous_attributes"] = {"evidence": EVIDENCE}
    world.psp.has(large, psp_event("evt_next", NOW - 90))

    simulated(world.process().since_watermark())

    assert sorted(world.published()) == ["evt_large", "evt_next"]
    told = decode(as_read(next(record for record in world.log.records if b"evt_large" in (record.value or b""))))
    assert isinstance(told, PspEvent)
    assert told.object == {"id": "pi_evt_large", "object": "payment_intent", "amount": 5}
    assert world.tables.watermarks == {EVENTS_TASK: Mark(NOW - GRACE)}


def test_an_event_too_large_even_without_evidence_becomes_a_dead_letter_of_the_fold() -> None:
    world = World()
    world.psp.has(psp_event("evt_huge", NOW - 100, description="x" * 2_000_000), psp_event("evt_next", NOW - 90))

    simulated(world.process().since_watermark())

    records = {record.header("ce_id"): record for record in map(as_read, world.log.records)}
    assert records.keys() == {"evt_huge", "evt_next"}
    reading = read(records["evt_huge"], group="status_processor", livemode=False)
    assert isinstance(reading, Unfoldable)
    assert reading.reason == "not_json"
    assert world.tables.watermarks == {EVENTS_TASK: Mark(NOW - GRACE)}
