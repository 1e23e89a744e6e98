"""A RegisterPayment on in-memory ports: every kind of outcome, repeats, conflicts, and a crash at every step."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import replace

import pytest

from payonce.dead_letters import dead_letter
from payonce.domain.events import CommandRejected, RegistrationFailed, TokenIssued
from payonce.ports import Record
from services.psp_worker.exits import LedgerContradicted
from services.psp_worker.outcome import unknown
from services.psp_worker.request import registration_request
from tests.fakes.clock import START, simulated
from tests.fakes.gateway import Trouble
from tests.fakes.log import command_record
from tests.fakes.psp_worker import Crash, CrashPoint, World, settled
from tests.fakes.registrations import register

HOUR = 3600


def test_a_command_becomes_one_token() -> None:
    world, command = World(), register()
    simulated(world.handle(command))

    (token,) = world.outcomes()
    assert isinstance(token, TokenIssued)
    assert (token.order_id, token.attempt, token.command_id) == (command.order_id, 1, command.command_id)
    assert token.session_id == "cs_test_1"
    assert world.row(command).state == "open"
    assert world.dead_letters() == []


@pytest.mark.parametrize("times", [2, 5])
def test_the_same_command_again_repeats_its_outcome_without_a_call(times: int) -> None:
    world, command = World(), register()

    async def scenario() -> None:
        for _ in range(times):
            await world.handle(command)

    simulated(scenario())
    assert len(world.gateway.calls) == 1
    assert world.outcomes() == world.outcomes()[:1] * times


@pytest.mark.parametrize("kind", ["transient", "rate_limited"])
@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_passing_failure_is_tried_again_under_the_same_key(kind: str, takes_effect: bool) -> None:
    world, command = World(), register()
    trouble = Trouble("transient" if kind == "transient" else "rate_limited", takes_effect=takes_effect)
    world.gateway.troubles.extend([trouble] * 3)
    simulated(world.handle(command))

    assert len({key for _, key in world.gateway.calls}) == 1
    assert len(world.gateway.calls) == 4
    assert len(world.gateway.sessions) == 1
    assert [type(outcome) for outcome in world.outcomes()] == [TokenIssued]


def test_tries_grow_apart_and_every_one_is_written_down_before_it_leaves() -> None:
    world, command = World(), register()
    world.gateway.troubles.extend([Trouble("transient")] * 8)
    simulated(world.handle(command))

    times = [at for at, _ in world.gateway.calls]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= 0.5
    assert max(gaps) <= 30.2
    assert world.row(command).last_try_at == pytest.approx(START + times[-1], abs=0.2)
    assert world.row(command).first_try_at == START


def test_a_refusal_of_the_first_try_is_a_proof() -> None:
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("permanent"))
    simulated(world.handle(command))

    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "psp_refused"
    assert "HTTP 400" in failed.proof
    assert world.row(command).state == "failed"
    assert world.dead_letters() == ["psp_refused"]


@pytest.mark.parametrize(
    "troubles",
    [
        [Trouble("transient", takes_effect=True), Trouble("permanent")],
        [Trouble("rate_limited"), Trouble("permanent")],
        [Trouble("mismatch")],
        [Trouble("replayed_failure")],
        [Trouble("transient"), Trouble("replayed_failure")],
    ],
)
def test_an_answer_that_proves_nothing_makes_us_ask(troubles: list[Trouble]) -> None:
    """Found: the token, without another call. Not found in a scan that began late enough: failed, and proven."""
    world, command = World(), register()
    world.gateway.troubles.extend(troubles)
    simulated(world.handle(command))

    (outcome,) = world.outcomes()
    made = bool(world.gateway.sessions)
    assert isinstance(outcome, TokenIssued if made else RegistrationFailed)
    assert made == troubles[0].takes_effect
    assert world.row(command).state == ("open" if made else "failed")
    assert len(world.gateway.calls) == len(troubles)
    assert world.dead_letters() == []


def test_a_proof_of_absence_is_a_scan_that_began_five_minutes_after_the_last_try() -> None:
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("replayed_failure"))
    simulated(world.handle(command))

    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "not_found"
    assert "330 s after the last try" in failed.proof
    scans = [at for at, operation in world.gateway.asked if operation == "sessions_created"]
    assert len(scans) == 2, "one at once, since a customer waits; one that proves"
    assert scans[-1] >= world.gateway.calls[-1][0] + 300


def test_a_session_that_is_born_while_we_wait_for_the_proof_is_found() -> None:
    """A 500 was saved for the key, and the session appeared two minutes later."""
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("replayed_failure"))

    async def scenario() -> None:
        handling = asyncio.ensure_future(world.handle(command))
        await asyncio.sleep(120)
        world.gateway.bear(registration_request(command))
        await handling

    simulated(scenario())
    (token,) = world.outcomes()
    assert isinstance(token, TokenIssued)
    assert token.session_id == world.row(command).session_id == "cs_test_1"


def test_all_orders_that_wait_share_their_scans() -> None:
    """Forty orders ask within a few seconds: the list is read a few times, not eighty."""
    world = World()
    world.gateway.page_size = 10
    commands = [register(f"A-{number}") for number in range(40)]
    for command in commands[::2]:
        key = f"{command.order_id}:register:1"
        world.gateway.troubles_of[key] = deque([Trouble("transient", takes_effect=True), Trouble("replayed_failure")])
    for command in commands[1::2]:
        world.gateway.troubles_of[f"{command.order_id}:register:1"] = deque([Trouble("replayed_failure")])

    async def scenario() -> None:
        worker = world.worker()
        await asyncio.gather(*(world.handle(command, worker=worker) for command in commands))

    simulated(scenario())
    states = [world.row(command).state for command in commands]
    assert states == ["open", "failed"] * 20
    assert len(world.gateway.sessions) == 20
    pages = sum(1 for _, operation in world.gateway.asked if operation == "sessions_created")
    assert pages < 40


def test_other_orders_sessions_in_the_list_are_nobodys_find() -> None:
    world, command, other = World(), register("mine"), register("other")
    key = f"{command.order_id}:register:1"
    world.gateway.troubles_of[key] = deque([Trouble("replayed_failure")])

    async def scenario() -> None:
        await world.handle(other)
        world.gateway.bear({**registration_request(other), "metadata": {}})
        await world.handle(command)

    simulated(scenario())
    assert world.row(command).state == "failed"
    assert world.row(other).session_id == "cs_test_1"


def test_an_unknown_attempt_lets_no_other_pass_before_it_is_settled() -> None:
    """Two payable sessions of one order cannot come to be: the later attempt is rejected, for ever."""
    world, first, second = World(), register(), register(attempt=2)

    async def scenario() -> None:
        handling = asyncio.ensure_future(world.handle(first))
        world.gateway.troubles.append(Trouble("mismatch"))
        await settled(lambda: world.ledger.registrations and world.row(first).state == "unknown")
        await world.handle(second)
        await world.handle(second)
        await handling
        await world.handle(second)
        await world.handle(register(attempt=3))

    simulated(scenario())
    rejections = [outcome for outcome in world.outcomes() if isinstance(outcome, CommandRejected)]
    assert len(rejections) == 3
    assert len(set(map(repr, rejections))) == 1
    assert rejections[0].reason == "previous_unresolved"
    assert len(world.gateway.open_sessions()) == 1, "the third attempt follows a proven failure"


def test_a_stale_command_fails_without_a_call() -> None:
    world, command = World(), register(issued_at=int(START) - 2 * HOUR, life_seconds=2 * HOUR + 34 * 60)
    simulated(world.handle(command))

    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "stale"
    assert world.gateway.calls == []
    assert world.dead_letters() == []


@pytest.mark.parametrize("is_known_there", [False, True])
def test_a_command_older_than_a_key_lives_is_asked_about_not_called(is_known_there: bool) -> None:
    """It may be the replay of something long forgotten by ledger and PSP: a call could make a second page."""
    world, command = World(), register(issued_at=int(START) - 24 * HOUR, life_seconds=24 * HOUR - 300)

    async def scenario() -> None:
        if is_known_there:
            world.gateway.bear(registration_request(command))
        await world.handle(command)

    simulated(scenario())
    (outcome,) = world.outcomes()
    assert isinstance(outcome, TokenIssued if is_known_there else RegistrationFailed)
    assert world.gateway.calls == []


def test_retries_end_when_the_session_would_expire_too_soon() -> None:
    world, command = World(), register(life_seconds=2 * HOUR)
    world.gateway.always = Trouble("transient")
    simulated(world.handle(command))

    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "stale"
    last_call_at = world.gateway.calls[-1][0]
    assert last_call_at <= 2 * HOUR - 35 * 60
    assert last_call_at > 2 * HOUR - 35 * 60 - 31


def test_retries_end_when_the_key_may_be_forgotten() -> None:
    world, command = World(), register(life_seconds=24 * HOUR - 300)
    world.gateway.always = Trouble("transient")
    simulated(world.handle(command))

    assert [type(outcome) for outcome in world.outcomes()] == [RegistrationFailed]
    assert 22 * HOUR < world.gateway.calls[-1][0] <= 23 * HOUR + 1


def test_a_command_the_group_had_passed_before_is_called_but_its_refusal_proves_nothing() -> None:
    """The database came back from an older backup: somebody may have called before."""
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("permanent"))
    simulated(world.handle(command, seen_before=True))

    assert world.row(command).first_try_at == command.issued_at
    (failed,) = world.outcomes()
    assert isinstance(failed, RegistrationFailed)
    assert failed.reason == "not_found", "only after asking"


def test_another_body_for_the_same_attempt_is_rejected_and_stays_so() -> None:
    world, command, other = World(), register(), register(amount=1)

    async def scenario() -> None:
        await world.handle(command)
        await world.handle(other)
        await world.handle(other)

    simulated(scenario())
    _, once, again = world.outcomes()
    assert once == again
    assert isinstance(once, CommandRejected)
    assert (once.reason, once.body_hash) == ("body_mismatch", other.body_hash)
    assert len(world.gateway.calls) == 1


@pytest.mark.parametrize("attempt", [2, 7])
def test_an_attempt_that_does_not_follow_is_rejected(attempt: int) -> None:
    world = World()
    simulated(world.handle(register(attempt=attempt)))

    (rejected,) = world.outcomes()
    assert isinstance(rejected, CommandRejected)
    assert rejected.reason == "attempt_out_of_order"
    assert world.gateway.calls == []


def test_after_a_proven_failure_the_next_attempt_is_registered() -> None:
    world = World()
    world.gateway.troubles.append(Trouble("permanent"))

    async def scenario() -> None:
        await world.handle(register())
        await world.handle(register(attempt=2))

    simulated(scenario())
    assert [type(outcome) for outcome in world.outcomes()] == [RegistrationFailed, TokenIssued]


def test_a_replayed_dead_letter_repeats_its_outcome_and_does_not_come_back() -> None:
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("permanent"))
    original = command_record(command)
    letter = dead_letter(original, reason="psp_refused", error="x", group="psp_worker", at=START)
    replay = replace(original, headers=(*letter.headers, ("replay-for", b"psp_worker")))

    async def scenario() -> None:
        await world.handle(original)
        await world.handle(replay)

    simulated(scenario())
    assert len(world.outcomes()) == 2
    assert world.dead_letters() == ["psp_refused"]
    assert len(world.gateway.calls) == 1


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Record("payments.commands", 0, 0, b"k", b"\xff"), "missing_type"),
        (replace(command_record(register()), value=b"{"), "not_json"),
        (replace(command_record(register()), value=b"{}"), "wrong_shape"),
        (replace(command_record(register()), key=b"ord_other"), "key_mismatch"),
        (
            replace(command_record(register()), headers=(("ce_type", b"payonce.RegisterPayment.v99"),)),
            "unknown_version",
        ),
        (replace(command_record(register()), headers=(("ce_type", b"payonce.NoSuchThing.v1"),)), "unknown_type"),
        (command_record(register(payment_method="CARD")), "unsupported"),
    ],
)
def test_what_cannot_be_carried_out_is_set_aside(record: Record, reason: str) -> None:
    world = World()
    simulated(world.handle(record))

    assert world.dead_letters() == [reason]
    assert world.outcomes() == []
    assert world.gateway.calls == []


def test_a_replay_for_another_group_is_acknowledged_unread() -> None:
    world = World()
    record = command_record(register())
    simulated(world.handle(replace(record, headers=(*record.headers, ("replay-for", b"status_processor")))))

    assert world.log.published == []
    assert world.ledger.registrations == {}


def test_a_row_that_vanishes_ends_the_process() -> None:
    world, command = World(), register()
    world.gateway.latency_seconds = 1

    async def scenario() -> None:
        handling = asyncio.ensure_future(world.handle(command))
        await settled(lambda: world.gateway.calls)
        world.ledger.registrations.clear()
        with pytest.raises(LedgerContradicted):
            await handling

    simulated(scenario())
    assert world.outcomes() == []


def test_a_try_is_not_made_once_others_have_found_that_nobody_knows() -> None:
    """A process that had been frozen between two tries: the key may be forgotten by now."""
    world, command = World(), register()
    world.gateway.troubles.append(Trouble("transient"))

    async def scenario() -> None:
        handling = asyncio.ensure_future(world.handle(command))
        await settled(lambda: world.gateway.calls)
        await world.ledger.settle(unknown(world.row(command), "somebody else's finding"), expected=("calling",))
        await handling

    simulated(scenario())
    assert len(world.gateway.calls) == 1
    assert [type(outcome) for outcome in world.outcomes()] == [RegistrationFailed]


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize(
    "troubles",
    [
        [],
        [Trouble("transient", takes_effect=True)],
        [Trouble("transient")],
        [Trouble("permanent")],
        [Trouble("mismatch")],
    ],
)
def test_a_crash_at_any_step_loses_nothing_and_makes_nothing_twice(troubles: list[Trouble], after_effect: bool) -> None:
    """Wherever the process ends, the redelivered command ends in one session at most and a published outcome."""
    crash_call = 0
    while True:
        crash_call += 1
        world, command = World(), register()
        world.gateway.troubles.extend(troubles)
        point = CrashPoint(crash_call, after_effect=after_effect)
        if not simulated(_crash_and_redeliver(world, point)):
            break
        outcomes = world.outcomes()
        row = world.row(command)
        assert outcomes, f"crash at call {crash_call}: no outcome"
        assert len(world.gateway.sessions) <= 1
        assert len(set(map(repr, outcomes))) == 1
        assert (row.state == "open") == isinstance(outcomes[0], TokenIssued)
        assert row.state in ("open", "failed")
        was_refused = isinstance(outcomes[0], RegistrationFailed) and outcomes[0].reason == "psp_refused"
        assert bool(world.dead_letters()) == was_refused
    assert crash_call > 3


async def _crash_and_redeliver(world: World, point: CrashPoint) -> bool:
    crashed = False
    try:
        await world.handle(register(), worker=world.worker(point))
    except Crash:
        crashed = True
    await world.handle(register())
    return crashed
