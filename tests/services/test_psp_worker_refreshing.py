"""RefreshPayment on in-memory ports: what the PSP shows is published whole, and late-born sessions are closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from payonce.domain.contributions import contribution
from payonce.domain.events import PspSnapshot, RegistrationFailed, TokenIssued
from payonce.domain.merge import Facts, merge
from services.psp_worker.request import registration_request
from tests.fakes.clock import START, simulated
from tests.fakes.gateway import Trouble
from tests.fakes.log import command_record
from tests.fakes.orders import cancel, refresh, refund
from tests.fakes.psp_worker import World, crash_everywhere, settled
from tests.fakes.registrations import register

FIRST = register()
ORDER = FIRST.order_id
ONLY_ASKS = {"session", "object", "refunds", "disputes", "sessions_created", "canary"}


def snapshots(world: World) -> list[PspSnapshot]:
    return [each for each in world.outcomes() if isinstance(each, PspSnapshot)]


def shown(world: World) -> dict[str, dict[str, Any]]:
    """Return the objects of the last snapshot, which the fold can read."""
    snapshot = snapshots(world)[-1]
    contribution(snapshot, position=("payments.tokens", 0, 0))
    return {each["id"]: dict(each) for each in snapshot.objects}


def test_everything_about_an_order_is_shown_and_nothing_is_changed() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        world.gateway.pay("cs_test_1")
        await world.handle(refund(amount=500))
        world.gateway.disputes.append(dispute())
        asked = len(world.gateway.asked)
        await world.handle(command_record(refresh(), offset=77))
        assert {operation for _, operation in world.gateway.asked[asked:]} <= ONLY_ASKS

    simulated(scenario())
    objects = shown(world)
    assert set(objects) == {"cs_test_1", "pi_cs_test_1", "ch_cs_test_1", "re_1", "dp_1"}
    assert objects["cs_test_1"]["payment_status"] == "paid"
    (snapshot,) = snapshots(world)
    assert (snapshot.refresh_offset, snapshot.command_id) == (77, refresh().command_id)
    assert START <= snapshot.response_date <= START + 60
    assert world.row(FIRST).state == "used"


def dispute() -> dict[str, Any]:
    return {
        "id": "dp_1",
        "object": "dispute",
        "status": "needs_response",
        "amount": 1999,
        "currency": "eur",
        "payment_intent": "pi_cs_test_1",
        "charge": "ch_cs_test_1",
        "metadata": {},
        "balance_transactions": [{}],
    }


def test_a_long_list_of_refunds_is_read_page_by_page() -> None:
    world = World()
    world.gateway.page_size = 2

    async def scenario() -> None:
        await world.handle(FIRST)
        world.gateway.pay("cs_test_1")
        for number in range(5):
            await world.handle(refund(refund_reference=f"back-{number}", amount=10))
        await world.handle(refresh())

    simulated(scenario())
    assert sum(1 for name in shown(world) if name.startswith("re_")) == 5


@pytest.mark.parametrize(
    ("how", "state"), [("open", "open"), ("expired", "expired"), ("paid", "used"), ("failed later", "failed")]
)
def test_the_ledger_learns_what_the_session_shows(how: str, state: str) -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        if how == "expired":
            world.gateway.end("cs_test_1")
        if how in ("paid", "failed later"):
            world.gateway.pay("cs_test_1", "paid" if how == "paid" else "processing")
        await world.handle(refresh(refresh_id="rfr_0"))
        if how == "failed later":
            assert world.row(FIRST).state == "used"
            world.gateway.fail_payment("cs_test_1")
        await world.handle(refresh())

    simulated(scenario())
    assert world.row(FIRST).state == state
    assert "expire" not in {operation for _, operation in world.gateway.asked}


def test_a_delayed_payment_that_failed_shows_in_the_facts() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        world.gateway.pay("cs_test_1", "processing")
        world.gateway.fail_payment("cs_test_1")
        await world.handle(refresh())

    simulated(scenario())
    facts: Facts = {}
    for outcome in world.outcomes():
        facts = merge(facts, contribution(outcome, position=("payments.tokens", 0, 0)).facts)  # type: ignore[arg-type]
    assert facts["async_failed"] == {"cs_test_1": 1}


def test_an_order_that_the_psp_does_not_know_is_told_as_such() -> None:
    world = World()
    simulated(world.handle(refresh(psp_ids=("pi_none", "what_is_this"))))

    (snapshot,) = snapshots(world)
    assert snapshot.objects == ()
    assert world.dead_letters() == []


def test_psp_ids_that_were_named_are_read_and_other_orders_objects_left_out() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(register("theirs"))
        world.gateway.pay("cs_test_1")
        await world.handle(refund("theirs", amount=5))
        await world.handle(FIRST)
        world.gateway.pay("cs_test_2")
        world.ledger.registrations.pop(ORDER)  # the database came back from an older backup
        await world.handle(refresh(psp_ids=("re_1", "cs_test_1", "cs_test_2")))

    simulated(scenario())
    assert set(shown(world)) == {"cs_test_2", "pi_cs_test_2", "ch_cs_test_2"}


# ------------------------------------------------------------------------------------------ unknown and late-born


async def failed_by_proof(world: World) -> None:
    world.gateway.troubles.append(Trouble("replayed_failure"))
    await world.handle(FIRST)
    assert world.row(FIRST).state == "failed"


@pytest.mark.parametrize("after_seconds", [600, 3600, 5400])  # the PSP makes none that lives less than half an hour
def test_a_session_born_late_is_closed_when_it_is_seen_and_its_page_told_to_nobody(after_seconds: int) -> None:
    world = World()

    async def scenario() -> None:
        await failed_by_proof(world)
        await world.handle(register("other"))
        await asyncio.sleep(after_seconds)
        world.gateway.bear(registration_request(FIRST))
        await world.handle(refresh())

    simulated(scenario())
    assert [session.metadata["order_id"] for session in world.gateway.open_sessions()] == [register("other").order_id]
    assert shown(world)["cs_test_2"]["status"] == "expired"
    mine = [each for each in world.outcomes() if each.order_id == ORDER]  # type: ignore[attr-defined]
    assert [type(each) for each in mine] == [RegistrationFailed, RegistrationFailed, PspSnapshot]


def test_every_session_born_late_is_closed() -> None:
    world = World()
    world.gateway.page_size = 2

    async def scenario() -> None:
        await failed_by_proof(world)
        for _ in range(5):
            world.gateway.bear(registration_request(FIRST))
        await world.handle(refresh())

    simulated(scenario())
    assert len(world.gateway.sessions) == 5
    assert world.gateway.open_sessions() == []


def test_a_session_of_a_cancelled_attempt_is_closed_when_it_is_seen() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(cancel())
        world.gateway.bear(registration_request(FIRST))
        await world.handle(refresh())

    simulated(scenario())
    assert world.gateway.open_sessions() == []


def test_a_late_born_session_beside_a_newer_attempt_leaves_that_one_alone() -> None:
    world = World()

    async def scenario() -> None:
        await failed_by_proof(world)
        await world.handle(register(attempt=2))
        world.gateway.bear(registration_request(FIRST))
        await world.handle(refresh())

    simulated(scenario())
    assert [session.metadata["attempt"] for session in world.gateway.open_sessions()] == ["2"]
    assert world.row(register(attempt=2)).state == "open"


async def left_unknown(world: World) -> None:
    """Leave the attempt behind as unknown, as a process that was killed while it asked."""
    world.gateway.troubles.append(Trouble("mismatch"))
    handling = asyncio.ensure_future(world.handle(FIRST))
    await settled(lambda: world.ledger.registrations and world.row(FIRST).state == "unknown")
    handling.cancel()
    await asyncio.wait([handling])


@pytest.mark.parametrize("is_born", [False, True])
def test_an_unknown_attempt_is_settled_and_told(is_born: bool) -> None:
    world = World()

    async def scenario() -> None:
        await left_unknown(world)
        if is_born:
            world.gateway.bear(registration_request(FIRST))
        await asyncio.sleep(400)
        await world.handle(refresh())

    simulated(scenario())
    assert [type(each) for each in world.outcomes()] == [TokenIssued if is_born else RegistrationFailed, PspSnapshot]
    assert world.row(FIRST).state == ("open" if is_born else "failed")


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_crash_at_any_step_leaves_nothing_open_and_a_snapshot(after_effect: bool) -> None:
    async def born_late(world: World) -> None:
        await failed_by_proof(world)
        world.gateway.bear(registration_request(FIRST))

    worlds = crash_everywhere(born_late, refresh(), after_effect=after_effect)
    assert len(worlds) >= 5
    for world in worlds:
        assert world.gateway.open_sessions() == []
        assert shown(world)["cs_test_1"]["status"] == "expired"


@pytest.mark.parametrize("after_effect", [False, True])
def test_what_was_recorded_and_not_said_when_a_process_ended_is_said(after_effect: bool) -> None:
    """A refresh settles the attempt, ends before it can say so, and comes again."""

    async def long_unknown(world: World) -> None:
        await left_unknown(world)
        await asyncio.sleep(400)

    worlds = crash_everywhere(long_unknown, refresh(), after_effect=after_effect)
    assert len(worlds) >= 4
    for call, world in enumerate(worlds, 1):
        assert isinstance(world.outcomes()[-2], RegistrationFailed), f"crash at call {call}"


def test_an_object_that_cannot_be_is_set_aside() -> None:
    world = World()
    world.gateway.billing.invoices["in_1"] = {"id": "in_1", "object": "invoice", "metadata": "none"}
    simulated(world.handle(refresh(psp_ids=("in_1",))))

    assert world.dead_letters() == ["impossible_event"]
