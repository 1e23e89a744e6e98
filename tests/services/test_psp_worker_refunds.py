"""RefundPayment on in-memory ports: what is paid back, from which payment, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.commands import RefundPayment
from payonce.domain.events import RefundAccepted, RefundRejected
from services.psp_worker.pace import Endpoint, Lane
from services.psp_worker.refund_outcome import refund_key
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.orders import refund
from tests.fakes.psp_worker import World
from tests.fakes.refund_runs import ORDER, answers, paid_order, returned, run
from tests.fakes.registrations import register


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


@pytest.mark.parametrize(
    ("payment", "endpoint"),
    [(None, "sessions.retrieve"), ("cs_test_1", "sessions.retrieve"), ("pi_cs_test_1", "reads")],
)
def test_what_a_refund_reads_is_paced_as_what_the_psp_counts_it_as(payment: str | None, endpoint: str) -> None:
    """A lane of its own for the same endpoint would let twice its share go there."""
    world, paced = World(), list[str]()

    async def scenario() -> None:
        await paid_order(world)
        worker = world.worker()
        lane = worker.pacer.lane

        def noted(endpoint: Endpoint, *, spare: bool) -> Lane:
            paced.append(endpoint)
            return lane(endpoint, spare=spare)

        worker.pacer.lane = noted  # type: ignore[method-assign]
        await world.handle(refund(payment=payment), worker=worker)

    simulated(scenario())
    assert paced == [endpoint, "refunds.create"]


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
    world.gateway.billing.invoices["in_theirs"] = {"id": "in_theirs", "object": "invoice", "metadata": {}}

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
    world.gateway.billing.invoices["in_1"] = {
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
