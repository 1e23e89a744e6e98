"""CancelSubscription on in-memory ports: ended as asked, whatever is lost, repeated, refused or taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.commands import CancelSubscription, SubscriptionEnd
from payonce.domain.events import CommandRejected
from payonce.ports import FailureKind
from services.psp_worker.cancelling_subscriptions import answer_to
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.orders import cancel_subscription
from tests.fakes.psp_worker import World, crash_everywhere
from tests.fakes.registrations import register
from tests.fakes.subscribers import (
    BOTH_ENDS,
    CLUB,
    MONTHLY,
    SUBSCRIPTION,
    accepted,
    answers,
    cancellations,
    run,
    subscribed,
)


def test_a_subscription_is_ended_now_and_that_is_told() -> None:
    world = World()
    run(world, cancel_subscription())

    (told,) = accepted(world)
    shown = world.gateway.billing.subscriptions[SUBSCRIPTION]
    assert (told.subscription, told.at, told.status) == (SUBSCRIPTION, "now", "canceled")
    assert (shown["status"], shown["ended_at"]) == ("canceled", told.ends_at)
    assert told.command_id == cancel_subscription().command_id


def test_a_subscription_ends_with_what_is_paid_for() -> None:
    world = World()
    run(world, cancel_subscription(at="period_end"))

    (told,) = accepted(world)
    shown = world.gateway.billing.subscriptions[SUBSCRIPTION]
    assert (told.at, told.status, told.ends_at) == ("period_end", "active", shown["cancel_at"])
    assert shown["cancel_at_period_end"] is True


@pytest.mark.parametrize("at", BOTH_ENDS)
def test_the_same_command_again_is_accepted_again_without_a_call(at: SubscriptionEnd) -> None:
    world = World()
    run(world, *[cancel_subscription(at=at)] * 3)

    assert len(accepted(world)) == 3
    assert len(set(map(repr, accepted(world)))) == 1
    assert cancellations(world) == 1


@pytest.mark.parametrize("at", BOTH_ENDS)
def test_what_has_ended_already_counts_as_accepted(at: SubscriptionEnd) -> None:
    """Somebody ended it in the PSP's dashboard, or its card failed too often."""
    world = World()

    async def scenario() -> None:
        await subscribed(world)
        world.gateway.billing.end(SUBSCRIPTION, "now", 1)
        await world.handle(cancel_subscription(at=at))

    simulated(scenario())
    (told,) = accepted(world)
    assert (told.status, told.ends_at) == ("canceled", 1)
    assert cancellations(world) == 0


def test_at_the_end_of_the_period_and_then_now_ends_it_now() -> None:
    world = World()
    run(world, cancel_subscription(at="period_end"), cancel_subscription(), cancel_subscription(at="period_end"))

    assert [(told.at, told.status) for told in accepted(world)] == [
        ("period_end", "active"),
        ("now", "canceled"),
        ("period_end", "canceled"),
    ]


def test_what_was_taken_back_is_not_overruled_by_a_command_that_comes_again() -> None:
    """Offsets are reset, or the database restored: the command is read once more, and the PSP knows it already."""
    world, command = World(), cancel_subscription(at="period_end")

    async def scenario() -> None:
        await subscribed(world)
        await world.handle(command)
        world.gateway.billing.take_back(SUBSCRIPTION)
        await world.handle(command)

    simulated(scenario())
    first, again = accepted(world)
    assert (first.event_id, first.command_id) == (again.event_id, again.command_id)
    assert cancellations(world) == 1
    assert world.gateway.billing.subscriptions[SUBSCRIPTION]["cancel_at_period_end"] is False


def test_what_was_taken_back_can_be_asked_for_anew() -> None:
    world, command = World(), cancel_subscription(at="period_end")

    async def scenario() -> None:
        await subscribed(world)
        await world.handle(command)
        world.gateway.billing.take_back(SUBSCRIPTION)
        await world.handle(replace(command, issued_at=command.issued_at + 60))

    simulated(scenario())
    assert [told.ends_at is not None for told in accepted(world)] == [True, True]
    assert cancellations(world) == 2


@pytest.mark.parametrize("note", ["", "yesterday", "-1", "²"])
def test_a_note_that_is_not_ours_says_nothing(note: str) -> None:
    metadata = {"order_id": CLUB.order_id, "cancel_issued_at": note}
    shown = {"object": "subscription", "status": "active", "metadata": metadata}

    assert answer_to(cancel_subscription(at="period_end"), shown) is None


@pytest.mark.parametrize("command", [cancel_subscription(subscription=name) for name in ("sub_none", "sub_cs_test_2")])
def test_a_subscription_that_is_not_this_orders_is_left_alone(command: CancelSubscription) -> None:
    """Only its own metadata says whose it is: a command that names another order's ends nothing."""
    world = World()

    async def scenario() -> None:
        await subscribed(world)
        await world.handle(register("theirs", recurring=MONTHLY))
        world.gateway.pay("cs_test_2")
        await world.handle(command)

    simulated(scenario())
    (rejected,) = (each for each in answers(world))
    assert isinstance(rejected, CommandRejected)
    assert (rejected.reason, rejected.command_type) == ("unknown_subscription", "CancelSubscription")
    assert (rejected.attempt, rejected.body_hash) == (None, None)
    assert cancellations(world) == 0
    assert {each["status"] for each in world.gateway.billing.subscriptions.values()} == {"active"}


@pytest.mark.parametrize("metadata", [{}, {"order_id": "theirs"}, {"order_id": register("theirs").order_id}])
def test_metadata_that_names_no_order_of_ours_or_another_proves_nothing(metadata: dict[str, str]) -> None:
    said = answer_to(cancel_subscription(), {"object": "subscription", "status": "active", "metadata": metadata})

    assert isinstance(said, CommandRejected)


@pytest.mark.parametrize("at", BOTH_ENDS)
@pytest.mark.parametrize(
    "trouble",
    [
        Trouble("transient"),
        Trouble("transient", takes_effect=True),
        Trouble("rate_limited"),
        Trouble("replayed_failure", takes_effect=True),
    ],
    ids=["lost", "carried-out-and-lost", "too-fast", "saved-500"],
)
def test_an_answer_that_is_lost_is_asked_for_until_it_is_known(trouble: Trouble, at: SubscriptionEnd) -> None:
    world = World()
    world.gateway.troubles_in["cancel_subscription"].append(trouble)
    run(world, cancel_subscription(at=at))

    (told,) = accepted(world)
    assert told.at == at
    assert cancellations(world) == (1 if trouble.takes_effect else 2)
    assert world.dead_letters() == []


def test_a_refusal_because_it_ended_meanwhile_is_no_refusal() -> None:
    """It is read as live, ends, and the PSP then says that there is none."""
    world = World()
    world.gateway.troubles_in["cancel_subscription"].append(Trouble("permanent", takes_effect=True, http_status=404))
    run(world, cancel_subscription())

    assert [told.status for told in accepted(world)] == ["canceled"]
    assert world.dead_letters() == []


@pytest.mark.parametrize("kind", ["permanent", "configuration"])
def test_a_refusal_of_another_kind_goes_to_ops(kind: FailureKind) -> None:
    """The PSP does not want to, or our key may do everything but this."""
    world = World()
    world.gateway.troubles_in["cancel_subscription"].append(Trouble(kind))
    run(world, cancel_subscription())

    assert answers(world) == []
    assert world.dead_letters() == ["psp_refused"]
    assert world.gateway.billing.subscriptions[SUBSCRIPTION]["status"] == "active"


@pytest.mark.parametrize("at", BOTH_ENDS)
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
def test_a_crash_at_any_call_and_the_command_again_ends_it_once(at: SubscriptionEnd, after_effect: bool) -> None:
    """The command comes again until it is committed; its outcome is said at least once."""
    worlds = crash_everywhere(subscribed, cancel_subscription(at=at), after_effect=after_effect)
    assert len(worlds) >= 3
    for world in worlds:
        assert {(told.at, told.subscription) for told in accepted(world)} == {(at, SUBSCRIPTION)}
        assert world.gateway.billing.subscriptions[SUBSCRIPTION]["cancel_at_period_end"] is (at == "period_end")
        assert cancellations(world) <= 2
