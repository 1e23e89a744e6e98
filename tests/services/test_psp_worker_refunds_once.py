"""RefundPayment on in-memory ports: once per reference, whatever is lost, repeated or replayed."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.events import RefundAccepted, RefundRejected
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.log import command_record
from tests.fakes.orders import refund
from tests.fakes.psp_worker import World, crash_everywhere, settled
from tests.fakes.refund_runs import answers, paid_order, returned, run

HOUR = 3600


@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_lost_answer_is_asked_for_under_the_same_key(takes_effect: bool) -> None:
    world = World()
    world.gateway.troubles_in["refund"].extend([Trouble("transient", takes_effect=takes_effect)] * 3)
    run(world, refund(amount=500))

    assert [type(each) for each in answers(world)] == [RefundAccepted]
    assert len({key for _, key in world.gateway.calls if ":refund:" in key}) == 1
    assert returned(world) == 500


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("last", [Trouble("replayed_failure"), Trouble("mismatch"), Trouble("permanent")])
def test_an_unknown_outcome_is_found_in_the_payments_refunds_or_proven_absent(last: Trouble, made: bool) -> None:
    world = World()
    world.gateway.page_size = 2

    async def scenario() -> float:
        await paid_order(world)
        for number in range(5):
            others = {"payment_intent": "pi_cs_test_1", "amount": 10, "metadata": {"refund_reference": "back-1"}}
            await world.gateway.refund(others, idempotency_key=f"another app's {number}", api_version="")
        world.gateway.troubles_in["refund"].extend([Trouble("transient", takes_effect=made), last])
        await world.handle(refund(amount=500))
        return asyncio.get_running_loop().time()

    ended = simulated(scenario())
    (answer,) = answers(world)
    assert isinstance(answer, RefundAccepted if made else RefundRejected)
    if isinstance(answer, RefundRejected):
        assert answer.reason == "failed_proven"
        assert ended > 330
    assert sum(1 for each in world.gateway.refunds.values() if each["amount"] == 500) == int(made)


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("has_ledger", [False, True])
def test_a_refund_whose_answer_was_lost_and_is_replayed_after_30_hours_never_pays_twice(
    made: bool, has_ledger: bool
) -> None:
    """The PSP has forgotten the key, and perhaps our database the row."""
    world, command = World(), refund(amount=500)

    async def scenario() -> None:
        await paid_order(world)
        world.gateway.troubles_in["refund"] = deque([Trouble("transient", takes_effect=made)] * 50)
        lost = asyncio.ensure_future(world.handle(command))
        await settled(lambda: len(world.gateway.calls) > 2)
        lost.cancel()
        await asyncio.wait([lost])
        world.gateway.troubles_in["refund"].clear()
        await asyncio.sleep(30 * HOUR)
        world.gateway.forget_keys()
        if not has_ledger:
            world.ledger.refunds.clear()
        for _ in range(2):
            await world.handle(command)

    simulated(scenario())
    assert returned(world) == (500 if made else 0)
    assert len(set(map(repr, answers(world)))) == 1
    assert isinstance(answers(world)[0], RefundAccepted if made else RefundRejected)


def test_a_refund_the_group_had_passed_before_is_called_but_its_refusal_proves_nothing() -> None:
    world = World()
    world.gateway.troubles_in["refund"].append(Trouble("permanent"))

    async def scenario() -> None:
        await paid_order(world)
        await world.handle(refund(), seen_before=True)

    simulated(scenario())
    (rejected,) = answers(world)
    assert isinstance(rejected, RefundRejected)
    assert rejected.reason == "failed_proven"


def test_a_replay_of_a_refused_refund_does_not_come_back() -> None:
    world = World()
    world.gateway.troubles_in["refund"].append(Trouble("permanent"))

    async def scenario() -> None:
        await paid_order(world)
        original = command_record(refund())
        await world.handle(original)
        await world.handle(replace(original, headers=(*original.headers, ("replay-for", b"psp_worker"))))

    simulated(scenario())
    assert world.dead_letters() == ["psp_refused"]
    assert world.gateway.refunds == {}


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize(
    "troubles", [[], [Trouble("transient", takes_effect=True)], [Trouble("permanent")], [Trouble("mismatch")]]
)
def test_a_crash_at_any_step_pays_back_once_at_most_and_says_one_thing(
    troubles: list[Trouble], after_effect: bool
) -> None:
    async def paid_in_trouble(world: World) -> None:
        world.gateway.troubles_in["refund"].extend(troubles)
        await paid_order(world)

    worlds = crash_everywhere(paid_in_trouble, refund(), after_effect=after_effect)
    assert len(worlds) >= 5
    for call, world in enumerate(worlds, 1):
        said = answers(world)
        assert said, f"crash at call {call}: no outcome"
        assert len(set(map(repr, said))) == 1
        assert returned(world) == (1999 if isinstance(said[0], RefundAccepted) else 0)


@settings(deadline=None, max_examples=80)
@given(
    wanted=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, 400, 900, 1999])), min_size=1, max_size=6),
    troubles=st.lists(
        st.sampled_from(
            [
                Trouble("transient"),
                Trouble("transient", takes_effect=True),
                Trouble("rate_limited"),
                Trouble("replayed_failure"),
                Trouble("replayed_failure", takes_effect=True),
                Trouble("permanent"),
            ]
        ),
        max_size=4,
    ),
)
def test_never_more_is_paid_back_than_was_paid_and_each_reference_once(
    wanted: list[tuple[str, int | None]], troubles: list[Trouble]
) -> None:
    world = World()
    world.gateway.troubles_in["refund"].extend(troubles)
    run(world, *(refund(refund_reference=name, amount=amount) for name, amount in wanted))

    assert returned(world) <= 1999
    references = [each["metadata"]["refund_reference"] for each in world.gateway.refunds.values()]
    assert len(references) == len(set(references))
    accepted = {each.refund_reference: each.refund_id for each in answers(world) if isinstance(each, RefundAccepted)}
    assert {each["id"] for each in world.gateway.refunds.values()} == set(accepted.values())
    assert len(answers(world)) == len(wanted)
