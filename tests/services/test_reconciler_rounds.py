"""The rounds of the reconciler: one process at a time, a task's failure is its own, calls are paced."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

import pytest
from prometheus_client import REGISTRY

from payonce.ports import GatewayFailure, PublishFailed, StoreUnavailable
from services.reconciler.assembly import Policy, Ports, assemble
from services.reconciler.pace import COMPLAINT_SECONDS, PacedReads
from services.reconciler.reconciler import LOOK_AGAIN_SECONDS, Reconciler
from services.reconciler.rules import WATCHED
from tests.fakes.clock import START, LoopClock, simulated
from tests.fakes.reconciler import FakePsp, FakeReconcilerStore, OrderState, ReconcilerTables, SteppedLog, psp_event

NOW = int(START)
ORDER = "ord_" + "a" * 26
POLICY = Policy(
    calls_per_second=2,
    refreshes_per_second=1,
    interval_seconds=60,
    grace_seconds=60,
    api_version="2026-10-28.endive",
)


@dataclass
class World:
    psp: FakePsp = field(default_factory=FakePsp)
    tables: ReconcilerTables = field(default_factory=lambda: ReconcilerTables(now=lambda: NOW))
    log: SteppedLog = field(default_factory=SteppedLog)

    def process(self) -> tuple[Reconciler, FakeReconcilerStore]:
        store = FakeReconcilerStore(self.tables)
        return assemble(Ports(self.psp, store, self.log, LoopClock()), POLICY), store


def busy_world() -> World:
    """One missed event, one overdue order, one waiting event of another app."""
    world = World(FakePsp(objects={"pi_x": {"object": "payment_intent", "metadata": {}}}))
    world.psp.has(psp_event("evt_1", NOW - 100))
    world.tables.orders[ORDER] = OrderState("created", NOW - 700)
    world.tables.waiting["evt_waiting"] = (("pi_x",), NOW - 100)
    return world


def test_one_round_does_everything() -> None:
    world = busy_world()

    assert simulated(world.process()[0].run_once())

    assert [record.topic for record in world.log.records] == ["payments.commands", "payments.webhooks"]
    assert world.tables.foreign == {"pi_x"}
    assert set(world.tables.watermarks) == {"events", "orders", "slow_orders", "waiting", "waiting_payments"}


def test_a_second_process_stands_by_and_takes_over_when_the_first_is_gone() -> None:
    world = busy_world()

    async def lives() -> None:
        (_, first_store), (second, _) = world.process(), world.process()
        assert await first_store.acquire()
        running = asyncio.create_task(second.run())
        await asyncio.sleep(120)
        assert (world.log.records, world.psp.calls, second.is_ready) == ([], [], True)
        first_store.close()
        await asyncio.sleep(LOOK_AGAIN_SECONDS + 30)
        assert len(world.log.records) == 2
        running.cancel()

    simulated(lives())


def test_a_lost_lock_ends_the_round_at_once() -> None:
    world = busy_world()

    async def lose_it() -> None:
        reconciler, store = world.process()

        def step(name: str) -> None:
            if name == "watermark":
                world.tables.holder = object()

        store.step = step
        with pytest.raises(StoreUnavailable):
            await reconciler.run_once()

    simulated(lose_it())

    assert (world.log.records, world.psp.calls, world.tables.watermarks) == ([], [], {})


@pytest.mark.parametrize("failure", [GatewayFailure("transient", "no answer"), PublishFailed("no report")])
def test_one_failing_task_does_not_keep_the_others_from_their_work(failure: Exception) -> None:
    done: list[str] = []

    async def good() -> None:
        done.append("good")

    async def bad() -> None:
        raise failure

    async def one_round() -> None:
        store = FakeReconcilerStore(ReconcilerTables())
        await Reconciler(store, {"bad": bad, "good": good}, LoopClock(), interval_seconds=60).run_once()

    simulated(one_round())

    assert done == ["good"]


def test_while_the_psp_is_away_overdue_orders_are_still_asked_after_and_all_is_made_up_for() -> None:
    world = busy_world()

    def away(_name: str) -> None:
        raise GatewayFailure("transient", "no answer")

    async def outage() -> None:
        world.psp.step = away
        running = asyncio.create_task(world.process()[0].run())
        await asyncio.sleep(400)
        assert [record.topic for record in world.log.records] == ["payments.commands"]
        world.psp.step = lambda _name: None
        await asyncio.sleep(120)
        running.cancel()

    simulated(outage())

    assert [record.topic for record in world.log.records].count("payments.webhooks") == 1
    assert world.tables.foreign == {"pi_x"}


def test_postgresql_away_is_waited_for() -> None:
    world = busy_world()

    async def outage() -> None:
        reconciler, store = world.process()

        def away(_name: str) -> None:
            raise StoreUnavailable("away")

        store.step = away
        running = asyncio.create_task(reconciler.run())
        await asyncio.sleep(60)
        assert not reconciler.is_ready
        store.step = lambda _name: None
        await asyncio.sleep(60)
        assert reconciler.is_ready
        running.cancel()

    simulated(outage())

    assert len(world.log.records) == 2


def test_a_bug_ends_the_process() -> None:
    async def bug() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        store = FakeReconcilerStore(ReconcilerTables())
        with pytest.raises(ZeroDivisionError):
            await Reconciler(store, {"bug": bug}, LoopClock(), interval_seconds=60).run()

    simulated(run())


def test_calls_are_evenly_spaced_even_after_a_rest_and_however_many_callers_there_are() -> None:
    psp, at = FakePsp(), []

    async def calls() -> None:
        clock = LoopClock()
        psp.step = lambda _name: at.append(clock.monotonic())
        paced = PacedReads(psp, clock, calls_per_second=2)
        await asyncio.gather(*(paced.object(f"pi_{n}") for n in range(5)))
        await asyncio.sleep(100)
        await asyncio.gather(
            paced.events([], created_from=0), paced.sessions_of("pi_1"), paced.invoices_of("pi_1"), paced.object("pi_1")
        )

    simulated(calls())

    assert len(at) == 9
    assert min(later - earlier for earlier, later in itertools.pairwise(at)) >= 0.5


def test_after_a_complaint_of_the_psp_nothing_is_asked_for_a_while() -> None:
    psp, at = FakePsp(), []

    async def calls() -> None:
        clock = LoopClock()

        def step(_name: str) -> None:
            at.append(clock.monotonic())
            if len(at) == 1:
                raise GatewayFailure("rate_limited", "too many", http_status=429)

        psp.step = step
        paced = PacedReads(psp, clock, calls_per_second=2)
        with pytest.raises(GatewayFailure):
            await paced.object("pi_1")
        await paced.object("pi_1")

    simulated(calls())

    assert at == [0, COMPLAINT_SECONDS]


def test_ages_and_stuck_orders_are_measured_for_every_unfinished_status() -> None:
    world = World()
    world.tables.orders[ORDER] = OrderState("created", NOW - 7_200)
    world.tables.orders["ord_" + "b" * 26] = OrderState("created", NOW - 60)

    simulated(world.process()[0].run_once())

    def sample(name: str, status: str) -> float | None:
        return REGISTRY.get_sample_value(f"payonce_{name}", {"status": status})

    assert sample("order_age_seconds", "created") == pytest.approx(7_200, abs=10)  # the round's own calls take a while
    assert sample("stuck_orders", "created") == 1
    assert all(sample("order_age_seconds", status) == 0 for status in WATCHED if status != "created")
