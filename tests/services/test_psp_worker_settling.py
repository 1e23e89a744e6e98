"""An earlier attempt before a new one, cancellations, and sessions that contradict the ledger: never two open pages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.commands import CancelPayment, RegisterPayment
from payonce.domain.events import AttemptCancelled, CommandRejected, RegistrationFailed, TokenIssued
from payonce.ports import HOLDING_STATES, Session
from services.psp_worker.outcome import not_found
from services.psp_worker.request import registration_request
from tests.fakes.clock import simulated
from tests.fakes.gateway import Trouble
from tests.fakes.log import command_record
from tests.fakes.orders import cancel
from tests.fakes.psp_worker import Crash, CrashPoint, World, settled
from tests.fakes.registrations import register

FIRST, SECOND = register(), register(attempt=2)
Happening = Literal["nothing", "expired", "paid", "free", "processing", "failed later"]
HAPPENINGS: tuple[Happening, ...] = ("nothing", "expired", "paid", "free", "processing", "failed later")
#: What each makes of the attempt once it is settled.
STATES = {
    "nothing": "expired",
    "expired": "expired",
    "paid": "used",
    "free": "used",
    "processing": "used",
    "failed later": "failed",
}


def happen(world: World, what: Happening, session_id: str = "cs_test_1") -> None:
    """Let the customer or the time do this to the session."""
    match what:
        case "expired":
            world.gateway.end(session_id)
        case "paid" | "free" | "processing":
            world.gateway.pay(session_id, what)
        case "failed later":
            world.gateway.pay(session_id, "processing")
            world.gateway.fail_payment(session_id)
        case "nothing":
            pass


def told(world: World) -> list[str]:
    """Return the kinds of the outcomes."""
    return [type(outcome).__name__ for outcome in world.outcomes()]


def assert_one_page_at_most(world: World, command: RegisterPayment = FIRST) -> None:
    """No order has two open sessions, nor an open one beside one that took or takes money."""
    rows = world.ledger.registrations.get(command.order_id, {})
    holding = [row for row in rows.values() if row.state in HOLDING_STATES]
    assert len(holding) <= 1
    alive = [session for session in world.gateway.sessions.values() if takes_money(world, session)]
    assert len(alive) <= 1, alive


def takes_money(world: World, session: Session) -> bool:
    """Return whether the session can be paid, is being paid, or is paid."""
    intent = world.gateway.intents.get(session.payment_intent or "", {})
    return session.status != "expired" and intent.get("status") != "requires_payment_method"


@pytest.mark.parametrize("what", HAPPENINGS)
def test_before_a_new_attempt_the_earlier_one_is_closed_or_keeps_the_order(what: Happening) -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        happen(world, what)
        await world.handle(SECOND)

    simulated(scenario())
    is_free = STATES[what] != "used"
    assert world.row(FIRST).state == STATES[what]
    assert world.row(SECOND).state == ("open" if is_free else "rejected")
    assert told(world) == ["TokenIssued", "TokenIssued" if is_free else "CommandRejected"]
    rejections = [outcome.reason for outcome in world.outcomes() if isinstance(outcome, CommandRejected)]
    assert rejections == ([] if is_free else ["order_used"])
    assert_one_page_at_most(world)


def test_an_attempt_that_was_used_and_failed_later_sets_the_order_free() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        happen(world, "processing")
        await world.handle(SECOND)
        world.gateway.fail_payment("cs_test_1")
        await world.handle(register(attempt=3))

    simulated(scenario())
    assert [world.row(register(attempt=number)).state for number in (1, 2, 3)] == ["failed", "rejected", "open"]


def test_a_new_attempt_finds_the_session_of_an_unknown_one_and_closes_it() -> None:
    """Its token is told, for the command that made it; then it is closed."""
    world = World()

    async def scenario() -> None:
        await stop_while_unknown(world)
        world.gateway.bear(registration_request(FIRST))
        await world.handle(SECOND)

    simulated(scenario())
    assert told(world) == ["TokenIssued", "TokenIssued"]
    assert [world.row(FIRST).state, world.row(SECOND).state] == ["expired", "open"]
    assert_one_page_at_most(world)


async def stop_while_unknown(world: World) -> None:
    """Leave the first attempt behind as unknown, as a process that was killed while it asked."""
    world.gateway.troubles.append(Trouble("mismatch"))
    handling = asyncio.ensure_future(world.handle(FIRST))
    await settled(lambda: world.ledger.registrations and world.row(FIRST).state == "unknown")
    handling.cancel()
    await asyncio.wait([handling])


def test_a_new_attempt_follows_once_the_absence_of_the_earlier_is_proven() -> None:
    world = World()

    async def scenario() -> None:
        await stop_while_unknown(world)
        await asyncio.sleep(331)
        await world.handle(SECOND)

    simulated(scenario())
    assert told(world) == ["RegistrationFailed", "TokenIssued"]
    assert [outcome.attempt for outcome in world.outcomes() if isinstance(outcome, RegistrationFailed)] == [1]


@pytest.mark.parametrize(
    "trouble", [Trouble("transient"), Trouble("transient", takes_effect=True), Trouble("permanent")]
)
def test_after_a_doubtful_answer_to_an_expiry_the_psp_is_asked_and_a_fresh_key_used(trouble: Trouble) -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        world.gateway.troubles_in["expire"].extend([trouble, trouble])
        await world.handle(SECOND)

    simulated(scenario())
    assert [world.row(FIRST).state, world.row(SECOND).state] == ["expired", "open"]
    operations = [operation for _, operation in world.gateway.asked]
    assert "session" in operations
    assert operations.count("expire") == (1 if trouble.takes_effect else 3)


def test_a_session_that_the_psp_does_not_know_is_left_to_people() -> None:
    """Perhaps the key belongs to another account: that proves nothing."""
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        world.gateway.sessions.clear()
        await world.handle(SECOND)

    simulated(scenario())
    assert world.dead_letters() == ["psp_refused"]
    assert world.row(FIRST).state == "open"
    assert 2 not in world.ledger.registrations[FIRST.order_id]


# ------------------------------------------------------------------------------------------ cancelling


@pytest.mark.parametrize("what", HAPPENINGS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_attempt_cannot_be_paid_unless_it_is_paid(what: Happening, times: int) -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        happen(world, what)
        for _ in range(times):
            await world.handle(cancel())

    simulated(scenario())
    answers = world.outcomes()[1:]
    assert len(answers) == times
    assert len(set(map(repr, answers))) == 1
    assert world.row(FIRST).state == STATES[what]
    if STATES[what] == "used":
        assert isinstance(answers[0], CommandRejected)
        assert (answers[0].reason, answers[0].command_type, answers[0].body_hash) == (
            "order_used",
            "CancelPayment",
            None,
        )
    else:
        assert isinstance(answers[0], AttemptCancelled)
    assert world.gateway.open_sessions() == []


def test_a_cancellation_before_the_registration_leaves_nothing_to_pay() -> None:
    """And its replay, at any time, with any body, says so again without a call."""
    world, other = World(), register(amount=7)

    async def scenario() -> None:
        await world.handle(cancel())
        for command in (FIRST, FIRST, other):
            await world.handle(command)
        await world.handle(cancel())
        await world.handle(SECOND)

    simulated(scenario())
    assert told(world) == ["AttemptCancelled"] * 5 + ["TokenIssued"]
    assert len(set(map(repr, world.outcomes()[:5]))) == 1
    assert world.row(FIRST).state == "cancelled"
    assert len(world.gateway.calls) == 1


def test_a_registration_that_a_restored_ledger_has_forgotten_is_closed_when_it_is_read_again() -> None:
    """The cancellation came first to that ledger and called the attempt never sent; its session was open all the while.

    Found by the simulation.
    """
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        world.ledger.registrations.clear()  # restored from a backup before the registration
        await world.handle(cancel())
        await world.handle(FIRST, seen_before=True)

    simulated(scenario())
    assert told(world) == ["TokenIssued", "AttemptCancelled", "AttemptCancelled"]
    assert world.gateway.open_sessions() == []


def test_an_attempt_that_does_not_exist_cannot_be_cancelled() -> None:
    world = World()
    simulated(world.handle(cancel(attempt=2)))

    (rejected,) = world.outcomes()
    assert isinstance(rejected, CommandRejected)
    assert rejected.reason == "unknown_attempt"
    assert world.ledger.registrations.get(FIRST.order_id, {}) == {}


def test_a_rejected_attempt_is_none_to_cancel() -> None:
    """It never counted; to call it cancelled would make it the order's latest."""
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        happen(world, "paid")
        await world.handle(SECOND)
        happen(world, "nothing")
        world.gateway.intents["pi_cs_test_1"]["status"] = "requires_payment_method"
        await world.handle(cancel(attempt=2))

    simulated(scenario())
    assert told(world)[-1] == "CommandRejected"


def test_cancelling_an_attempt_that_was_never_registered_closes_the_one_before() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        await world.handle(cancel(attempt=2))
        await world.handle(SECOND)

    simulated(scenario())
    assert told(world) == ["TokenIssued", "AttemptCancelled", "AttemptCancelled"]
    assert world.gateway.open_sessions() == []


def test_a_late_cancellation_of_an_earlier_attempt_touches_no_later_one() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        await world.handle(SECOND)
        await world.handle(cancel())

    simulated(scenario())
    assert told(world) == ["TokenIssued", "TokenIssued", "AttemptCancelled"]
    assert [session.metadata["attempt"] for session in world.gateway.open_sessions()] == ["2"]


@pytest.mark.parametrize("is_born", [False, True])
def test_a_cancellation_of_an_unknown_attempt_waits_for_the_proof(is_born: bool) -> None:
    world = World()

    async def scenario() -> float:
        await stop_while_unknown(world)
        if is_born:
            world.gateway.bear(registration_request(FIRST))
        began = asyncio.get_running_loop().time()
        await world.handle(cancel())
        return asyncio.get_running_loop().time() - began

    seconds = simulated(scenario())
    assert told(world) == (["TokenIssued"] if is_born else ["RegistrationFailed"]) + ["AttemptCancelled"]
    assert (seconds > 300) == (not is_born)
    assert world.gateway.open_sessions() == []


# ------------------------------------------------------------------------------------------ contradictions


def test_a_session_that_comes_after_the_attempt_was_settled_without_it_is_closed_and_never_told() -> None:
    """A frozen process got its answer when the next owner had long proven that there is none."""
    world = World()
    world.gateway.latency_seconds = 2

    async def scenario() -> None:
        frozen = asyncio.ensure_future(world.handle(FIRST))
        await settled(lambda: world.gateway.calls)
        row = world.row(FIRST)
        failed = not_found(row, began_after=331, now=world.clock.now())
        await world.ledger.settle(failed, expected=("calling",))
        await frozen

    simulated(scenario())
    assert told(world) == ["RegistrationFailed"]
    assert world.gateway.open_sessions() == []
    assert len(world.gateway.sessions) == 1


# ------------------------------------------------------------------------------------------ crashes and races


def crash_everywhere(
    prepare: Callable[[World], Awaitable[None]], command: RegisterPayment | CancelPayment
) -> list[World]:
    """Run the command once for each port call that it makes, crash there, deliver it again; return the worlds."""
    worlds: list[World] = []
    for after_effect in (False, True):
        for call in range(1, 200):
            world = World()

            async def scenario(world: World = world, call: int = call, after_effect: bool = after_effect) -> bool:
                await prepare(world)
                try:
                    await world.handle(command, worker=world.worker(CrashPoint(call, after_effect=after_effect)))
                except Crash:
                    await world.handle(command)
                    return True
                return False

            if not simulated(scenario()):
                break
            worlds.append(world)
    assert len(worlds) > 6
    return worlds


@pytest.mark.parametrize("what", HAPPENINGS)
@pytest.mark.parametrize("command", [SECOND, cancel()])
def test_a_crash_at_any_step_of_settling_is_harmless(command: RegisterPayment | CancelPayment, what: Happening) -> None:
    async def prepare(world: World) -> None:
        await world.handle(FIRST)
        happen(world, what)

    for world in crash_everywhere(prepare, command):
        answers = [outcome for outcome in world.outcomes()[1:] if outcome.command_id == command.command_id]  # type: ignore[attr-defined]
        assert answers
        assert len(set(map(repr, answers))) == 1
        assert world.row(FIRST).state == STATES[what]
        assert_one_page_at_most(world)


@pytest.mark.parametrize("command", [SECOND, cancel()])
@pytest.mark.parametrize("is_born", [False, True])
def test_a_crash_at_any_step_of_asking_is_harmless(command: RegisterPayment | CancelPayment, is_born: bool) -> None:
    async def prepare(world: World) -> None:
        await stop_while_unknown(world)
        if is_born:
            world.gateway.bear(registration_request(FIRST))
        await asyncio.sleep(400)

    for world in crash_everywhere(prepare, command):
        assert world.row(FIRST).state == ("expired" if is_born else "failed")
        assert told(world)[-1] == ("TokenIssued" if command is SECOND else "AttemptCancelled")
        assert_one_page_at_most(world)


TROUBLES = st.sampled_from(
    [
        Trouble("transient"),
        Trouble("transient", takes_effect=True),
        Trouble("rate_limited"),
        Trouble("replayed_failure"),
    ]
)


@settings(deadline=None, max_examples=150)
@given(
    commands=st.lists(st.sampled_from([FIRST, SECOND, register(attempt=3), cancel(), cancel(attempt=2)]), max_size=7),
    paid_at=st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["paid", "processing", "free"])), max_size=4),
    troubles=st.lists(st.tuples(st.sampled_from(["register", "expire", "session"]), TROUBLES), max_size=5),
    latency=st.sampled_from([0.0, 0.3, 2.0]),
)
def test_whenever_the_customer_pays_there_is_one_charge_at_most_and_it_is_known(
    commands: list[RegisterPayment | CancelPayment],
    paid_at: list[tuple[float, str]],
    troubles: list[tuple[str, Trouble]],
    latency: float,
) -> None:
    """New attempts and cancellations against payments at any moment, while calls fail and answers are lost."""
    world = World()
    world.gateway.latency_seconds = latency
    for operation, trouble in troubles:
        world.gateway.troubles_in[operation].append(trouble)

    async def customer() -> None:
        for seconds, how in sorted(paid_at):
            await asyncio.sleep(max(0.0, seconds - asyncio.get_running_loop().time()))
            for session in world.gateway.open_sessions():
                world.gateway.pay(session.session_id, how)  # type: ignore[arg-type]
            assert_one_page_at_most(world)

    async def scenario() -> None:
        paying = asyncio.ensure_future(customer())
        for command in commands:
            await world.handle(command)
            assert_one_page_at_most(world)
        await paying

    simulated(scenario())
    assert_one_page_at_most(world)
    cancelled = {outcome.attempt for outcome in world.outcomes() if isinstance(outcome, AttemptCancelled)}
    for session in world.gateway.sessions.values():
        if session.metadata["attempt"] in {str(attempt) for attempt in cancelled}:
            assert session.status == "expired", "what was called cancelled took no money"


def test_a_replay_of_a_finished_registration_after_everything_repeats_what_was_said() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(FIRST)
        await world.handle(SECOND)
        happen(world, "paid", "cs_test_2")
        replay = command_record(FIRST)
        await world.handle(replace(replay, headers=(*replay.headers, ("replay-for", b"psp_worker"))))

    simulated(scenario())
    first = [outcome for outcome in world.outcomes() if isinstance(outcome, TokenIssued) and outcome.attempt == 1]
    assert len(first) == 2
    assert first[0] == first[1]
    assert len(world.gateway.calls) == 2
