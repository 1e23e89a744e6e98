"""Events that wait for their order: looked up at the PSP until somebody knows whose they are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from payonce.codec import decode
from payonce.domain.commands import RefreshPayment
from payonce.ports import GatewayFailure, Mark
from services.reconciler.ownership import FOREIGN, UNKNOWN, Owner, owner_of
from services.reconciler.waiting_events import WAITING_TASK, WaitingEvents
from tests.fakes.clock import START, LoopClock, simulated
from tests.fakes.log import as_read
from tests.fakes.reconciler import FakePsp, FakeReconcilerStore, ReconcilerTables, SteppedLog

NOW = int(START)
ORDER = "ord_" + "a" * 26
OURS = {"metadata": {"order_id": ORDER}}
NOT_OURS: dict[str, Any] = {"metadata": {"order_id": "another app's"}, "client_reference_id": ORDER}


def thing(kind: str, **fields: Any) -> dict[str, Any]:
    return {"object": kind, "metadata": {}, **fields}


CASES: dict[str, tuple[tuple[str, ...], FakePsp, Owner]] = {
    "a payment that names our order": (
        ("re_1", "pi_1"),
        FakePsp(objects={"pi_1": thing("payment_intent", **OURS)}),
        Owner("ours", ORDER),
    ),
    "a payment whose session names our order": (
        ("pi_1",),
        FakePsp(objects={"pi_1": thing("payment_intent")}, sessions={"pi_1": [thing("checkout.session", **OURS)]}),
        Owner("ours", ORDER),
    ),
    "a payment of a session of another app, whatever its client_reference_id says": (
        ("pi_1",),
        FakePsp(objects={"pi_1": thing("payment_intent")}, sessions={"pi_1": [thing("checkout.session", **NOT_OURS)]}),
        FOREIGN,
    ),
    "a payment that nothing of ours led to": (
        ("pi_1",),
        FakePsp(objects={"pi_1": thing("payment_intent")}),
        FOREIGN,
    ),
    "a subscription's payment, through its invoice and the subscription": (
        ("pi_1",),
        FakePsp(
            objects={
                "pi_1": thing("payment_intent"),
                "in_1": thing("invoice", parent={"subscription_details": {"subscription": "sub_1", "metadata": {}}}),
                "sub_1": thing("subscription", **OURS),
            },
            invoices={"pi_1": ["in_1"]},
        ),
        Owner("ours", ORDER),
    ),
    "an invoice with a copy of our metadata": (
        ("in_1",),
        FakePsp(objects={"in_1": thing("invoice", parent={"subscription_details": OURS})}),
        Owner("ours", ORDER),
    ),
    "an invoice of an older API version": (
        ("in_1",),
        FakePsp(objects={"in_1": thing("invoice", subscription_details=OURS)}),
        Owner("ours", ORDER),
    ),
    "a charge, through its payment": (
        ("dp_1", "ch_1"),
        FakePsp(objects={"ch_1": thing("charge", payment_intent="pi_1"), "pi_1": thing("payment_intent", **OURS)}),
        Owner("ours", ORDER),
    ),
    "a charge without a payment": (("ch_1",), FakePsp(objects={"ch_1": thing("charge", payment_intent=None)}), FOREIGN),
    "a session of another app": (("cs_1",), FakePsp(objects={"cs_1": thing("checkout.session", **NOT_OURS)}), FOREIGN),
    "an id that the PSP does not know, and one that it does": (
        ("pi_gone", "ch_1"),
        FakePsp(objects={"ch_1": thing("charge", **OURS)}),
        Owner("ours", ORDER),
    ),
    "nothing that the PSP knows": (("pi_gone",), FakePsp(), UNKNOWN),
    "nothing that can be asked about": (("evt_1", "re_1"), FakePsp(), UNKNOWN),
}


@pytest.mark.parametrize("case", CASES)
async def test_whose_an_object_is(case: str) -> None:
    references, psp, owner = CASES[case]

    assert await owner_of(psp, references) == owner


async def test_a_refusal_about_one_id_leaves_it_unknown_but_an_outage_says_nothing() -> None:
    def refuse(_name: str) -> None:
        raise GatewayFailure("permanent", "no access to this object", http_status=400)

    def away(_name: str) -> None:
        raise GatewayFailure("transient", "no answer")

    assert await owner_of(FakePsp(step=refuse), ("pi_1",)) == UNKNOWN
    with pytest.raises(GatewayFailure):
        await owner_of(FakePsp(step=away), ("pi_1",))


@dataclass
class World:
    psp: FakePsp = field(default_factory=FakePsp)
    tables: ReconcilerTables = field(default_factory=ReconcilerTables)
    log: SteppedLog = field(default_factory=SteppedLog)

    def process(self, limit: int = 25) -> WaitingEvents:
        store = FakeReconcilerStore(self.tables)
        self.tables.holder = store
        return WaitingEvents(self.psp, store, self.log, LoopClock(), api_version="2026-10-28.endive", limit=limit)

    def asked(self) -> list[RefreshPayment]:
        messages = [decode(as_read(record)) for record in self.log.records]
        return [message for message in messages if isinstance(message, RefreshPayment)]


def test_an_event_of_ours_has_its_order_read_with_the_ids_that_it_waits_for() -> None:
    world = World(FakePsp(objects={"pi_1": thing("payment_intent", **OURS)}))
    world.tables.waiting["evt_1"] = (("pi_1", "re_1"), NOW - 61)

    simulated(world.process().run_once())

    [command] = world.asked()
    assert (command.order_id, command.psp_ids, command.reason) == (ORDER, ("pi_1", "re_1"), "reconciler: waiting_event")
    assert world.tables.foreign == set()


def test_a_foreign_event_is_remembered_with_all_its_ids_and_nothing_is_published() -> None:
    world = World(FakePsp(objects={"pi_1": thing("payment_intent")}))
    world.tables.waiting["evt_1"] = (("pi_1", "re_1"), NOW - 61)

    simulated(world.process().run_once())

    assert world.tables.foreign == {"pi_1", "re_1"}
    assert world.log.records == []


def test_an_unknown_event_is_asked_about_again_ever_later() -> None:
    world = World()
    world.tables.waiting["evt_1"] = (("pi_1", "re_1"), NOW)
    asked_at = []

    async def rounds() -> None:
        process, clock = world.process(), LoopClock()
        world.psp.step = lambda _name: asked_at.append(int(clock.now()) - NOW)
        for _ in range(24 * 60):
            await process.run_once()
            await asyncio.sleep(60)

    simulated(rounds())

    assert asked_at == [60, 300, 1_800, 7_200, 28_800, 72_000]


def test_several_events_of_one_payment_cost_one_look() -> None:
    world = World(FakePsp(objects={"pi_1": thing("payment_intent", **OURS)}))
    for number in range(3):
        world.tables.waiting[f"evt_{number}"] = (("pi_1", "re_1"), NOW - 61 - number)

    simulated(world.process().run_once())

    assert world.psp.calls == ["pi_1"]
    assert len(world.asked()) == 3


def test_an_outage_in_the_middle_keeps_what_was_found_and_goes_on_there() -> None:
    """Even within one second: what was looked up is not looked up again."""
    world = World(FakePsp(objects={f"pi_{n}": thing("payment_intent", **OURS) for n in range(4)}))
    for number, age in enumerate((90, 80, 80, 70)):
        world.tables.waiting[f"evt_{number}"] = ((f"pi_{number}", f"re_{number}"), NOW - age)

    def away(name: str) -> None:
        if name == "pi_2":
            raise GatewayFailure("transient", "no answer")

    async def rounds() -> None:
        process = world.process()
        world.psp.step = away
        with pytest.raises(GatewayFailure):
            await process.run_once()
        assert world.tables.watermarks[WAITING_TASK] == Mark.at(NOW - 80 + 60, "evt_1")
        world.psp.step = lambda _name: None
        await process.run_once()

    simulated(rounds())

    assert {command.psp_ids for command in world.asked()} == {(f"pi_{n}", f"re_{n}") for n in range(4)}
    assert sorted(world.psp.calls) == ["pi_0", "pi_1", "pi_2", "pi_3"]


@pytest.mark.parametrize("apart", [0, 1])
def test_a_round_looks_up_no_more_than_its_limit(apart: int) -> None:
    """Not even of what waits since the same second: the fold parks whole batches under one time."""
    world = World()
    for number in range(10):
        world.tables.waiting[f"evt_{number}"] = ((f"pi_{number}", f"re_{number}"), NOW - 100 + number * apart)

    async def rounds() -> list[int]:
        process, counts = world.process(limit=4), []
        for _ in range(4):
            await process.run_once()
            counts.append(len(world.psp.calls))
        return counts

    assert simulated(rounds()) == [4, 8, 10, 10]


def test_another_app_s_payments_do_not_keep_our_refunds_and_disputes_waiting() -> None:
    """They get what the others leave of a round, and after an hour they are passed over."""
    world = World()
    for number in range(500):
        world.tables.waiting[f"evt_a{number}"] = ((f"ch_{number}", f"pi_{number}"), NOW - 14_000 - number)
        world.tables.waiting[f"evt_b{number}"] = ((f"ch_b{number}", f"pi_b{number}"), NOW - 600 - number % 7)
    for number in range(3):
        world.tables.waiting[f"evt_z{number}"] = ((f"pi_z{number}", f"re_z{number}"), NOW - 61)

    async def rounds() -> None:
        process = world.process(limit=5)
        await process.run_once()
        assert [call for call in world.psp.calls if call.startswith("pi_")] == ["pi_z0", "pi_z1", "pi_z2"] + [
            f"pi_b{n}" for n in (104, 111)
        ]

    simulated(rounds())


def test_a_payment_and_its_charge_cost_one_look() -> None:
    world = World(FakePsp(objects={"pi_1": thing("payment_intent")}))
    world.tables.waiting["evt_intent"] = (("ch_1", "pi_1"), NOW - 61)
    world.tables.waiting["evt_charge"] = (("ch_1", "pi_1"), NOW - 62)

    simulated(world.process().run_once())

    assert world.psp.calls.count("pi_1") == 1
    assert world.tables.foreign == {"ch_1", "pi_1"}
