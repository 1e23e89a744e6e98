"""RefundPayment on in-memory ports: once per reference, whatever is lost, repeated or replayed."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.commands import RefundPayment
from payonce.domain.events import RefundAccepted, RefundRejected
from services.psp_worker.refund_outcome import refund_key
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.log import command_record
from tests.fakes.orders import refund
from tests.fakes.psp_worker import Crash, CrashPoint, World, settled
from tests.fakes.registrations import register

HOUR = 3600
ORDER = register().order_id


async def paid_order(world: World) -> None:
    await world.handle(register())
    world.gateway.pay("cs_test_1")


def answers(world: World) -> list[RefundAccepted | RefundRejected]:
    return [each for each in world.outcomes() if isinstance(each, RefundAccepted | RefundRejected)]


def returned(world: World) -> int:
    return sum(each["amount"] for each in world.gateway.refunds.values())


def run(world: World, *commands: RefundPayment) -> None:
    async def scenario() -> None:
        await paid_order(world)
        for command in commands:
            await world.handle(command)

    simulated(scenario())


@pytest.mark.parametrize(("amount", "expected"), [(None, 1999), (500, 500)])
def test_a_refund_is_made_with_its_names_and_told(amount: int | None, expected: int) -> None:
    world = World()
    run(world, refund(amount=amount))

    (accepted,) = answers(world)
    assert isinstance(accepted, RefundAccepted)
    assert (accepted.amount, accepted.currency, accepted.status) == (expected, "eur", "pending")
    assert (accepted.payment, accepted.refund_id) == ("pi_cs_test_1", "re_1")
    (made,) = world.gateway.refunds.values()
    assert made["metadata"] == {"order_id": ORDER, "refund_reference": "back-1"}
    assert world.gateway.calls[-1][1] == refund_key(ORDER, "back-1") == f"{ORDER}:refund:back-1"
    assert world.ledger.refunds[ORDER, "back-1"].state == "accepted"


def test_the_same_command_again_repeats_its_outcome_without_a_call() -> None:
    world = World()
    run(world, *[refund(amount=500)] * 4)

    assert len(answers(world)) == 4
    assert len(set(map(repr, answers(world)))) == 1
    assert returned(world) == 500
    assert len(world.gateway.calls) == 2


@pytest.mark.parametrize("other", [refund(amount=600), refund(), refund(amount=500, payment="pi_cs_test_1")])
def test_the_same_reference_on_other_terms_is_rejected(other: RefundPayment) -> None:
    world = World()
    run(world, refund(amount=500), other, other)

    first, once, again = answers(world)
    assert isinstance(first, RefundAccepted)
    assert once == again
    assert isinstance(once, RefundRejected)
    assert (once.reason, once.command_id) == ("reference_reused", other.command_id)
    assert returned(world) == 500


def test_several_references_add_up_and_what_is_too_much_is_refused() -> None:
    world = World()
    run(
        world,
        refund(refund_reference="a", amount=500),
        refund(refund_reference="b", amount=1600),
        refund(refund_reference="c"),
        refund(refund_reference="d"),
    )

    kinds = [(type(each).__name__, getattr(each, "reason", None)) for each in answers(world)]
    assert kinds == [
        ("RefundAccepted", None),
        ("RefundRejected", "amount_too_large"),
        ("RefundAccepted", None),
        ("RefundRejected", "amount_too_large"),
    ]
    assert returned(world) == 1999
    assert world.dead_letters() == []


def test_a_refusal_of_another_kind_is_copied_to_ops() -> None:
    world = World()
    world.gateway.troubles_in["refund"].append(Trouble("permanent", code="charge_disputed"))
    run(world, refund())

    (rejected,) = answers(world)
    assert isinstance(rejected, RefundRejected)
    assert rejected.reason == "psp_refused"
    assert world.dead_letters() == ["psp_refused"]


# ------------------------------------------------------------------------------------------ which payment


def test_an_order_that_is_not_paid_has_nothing_to_refund_and_stays_so() -> None:
    """The reference is used up: the same command says the same, also when the order is paid later."""
    world = World()

    async def scenario() -> None:
        await world.handle(register())
        await world.handle(refund())
        world.gateway.pay("cs_test_1")
        await world.handle(refund())
        await world.handle(refund(refund_reference="later"))

    simulated(scenario())
    reasons = [getattr(each, "reason", "accepted") for each in answers(world)]
    assert reasons == ["no_payment", "no_payment", "accepted"]


def test_an_order_paid_twice_must_name_the_payment() -> None:
    world = World()

    async def scenario() -> None:
        await paid_order(world)
        row = world.row(register())
        twin = world.gateway.bear({**row.request, "expires_at": row.expires_at})
        world.gateway.pay(twin.session_id)
        second = replace(row, attempt=2, state="failed", session_id=twin.session_id)
        world.ledger.registrations[ORDER][2] = second
        await world.handle(refund())
        await world.handle(refund(refund_reference="named", payment=f"pi_{twin.session_id}"))

    simulated(scenario())
    unnamed, named = answers(world)
    assert isinstance(unnamed, RefundRejected)
    assert unnamed.reason == "no_payment"
    assert isinstance(named, RefundAccepted)
    assert named.payment == "pi_cs_test_2"


@pytest.mark.parametrize("payment", ["pi_cs_test_2", "cs_test_2", "in_theirs", "ch_cs_test_1", "pi_none", "what"])
def test_nobody_pays_back_from_another_orders_payment(payment: str) -> None:
    world = World()
    world.gateway.invoices["in_theirs"] = {"id": "in_theirs", "object": "invoice", "metadata": {}}

    async def scenario() -> None:
        await paid_order(world)
        await world.handle(register("theirs"))
        world.gateway.pay("cs_test_2")
        await world.handle(refund(payment=payment))

    simulated(scenario())
    (rejected,) = answers(world)
    assert isinstance(rejected, RefundRejected)
    assert rejected.reason == "no_payment"
    assert world.gateway.refunds == {}


def test_the_refund_of_an_invoice_finds_its_payment() -> None:
    """A subscription's PaymentIntent has no metadata of ours: its invoice has, through the subscription."""
    world = World()
    details = {"metadata": {"order_id": ORDER}, "subscription": "sub_1"}
    world.gateway.invoices["in_1"] = {
        "id": "in_1",
        "object": "invoice",
        "parent": {"subscription_details": details},
    }

    async def scenario() -> None:
        await paid_order(world)
        world.gateway.intents["pi_cs_test_1"] |= {"invoice": "in_1", "metadata": {}}
        await world.handle(refund(payment="in_1", amount=100))

    simulated(scenario())
    (accepted,) = answers(world)
    assert isinstance(accepted, RefundAccepted)
    assert (accepted.payment, accepted.amount) == ("in_1", 100)


# ------------------------------------------------------------------------------------------ never twice


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
    call = 0
    while True:
        call += 1
        world = World()
        world.gateway.troubles_in["refund"].extend(troubles)

        async def scenario(world: World = world, call: int = call) -> bool:
            await paid_order(world)
            crashed = False
            try:
                await world.handle(refund(), worker=world.worker(CrashPoint(call, after_effect=after_effect)))
            except Crash:
                crashed = True
            await world.handle(refund())
            return crashed

        if not simulated(scenario()):
            break
        said = answers(world)
        assert said, f"crash at call {call}: no outcome"
        assert len(set(map(repr, said))) == 1
        assert returned(world) == (1999 if isinstance(said[0], RefundAccepted) else 0)
    assert call > 5


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
