"""The real process on real Kafka and PostgreSQL, against the simulator: throughput of a backlog, kills, outages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from payonce.adapters.kafka.topics import create_topics
from payonce.domain.commands import CancelPayment, RefreshPayment, RefundPayment, RegisterPayment
from payonce.domain.events import (
    AttemptCancelled,
    CommandRejected,
    PspSnapshot,
    RefundAccepted,
    RefundRejected,
    TokenIssued,
)
from sandbox.supervisor import Supervisor
from tests.services.psp_worker_processes import (
    Tokens,
    assert_one_session_each,
    commands,
    environment,
    is_ready,
    log_ends,
    post,
    simulator,
    spec,
    until,
)
from tests.stacks import ChosenStack, chosen_stack, fresh_database

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def own_stack() -> Iterator[ChosenStack]:
    """A log without other tests' commands: a worker with an empty ledger would carry them all out."""
    with chosen_stack() as own:
        create_topics(own.bootstrap)
        yield own


@pytest.fixture(scope="module")
def bootstrap(own_stack: ChosenStack) -> str:
    return own_stack.bootstrap


@pytest.fixture(scope="module")
def database_url(own_stack: ChosenStack) -> Iterator[str]:
    with fresh_database(own_stack) as url:
        yield url


async def test_two_workers_register_a_backlog_and_stop_when_asked(
    bootstrap: str, database_url: str, tmp_path: Path
) -> None:
    wanted = commands(150)
    await post(bootstrap, wanted)
    tokens = Tokens(bootstrap, wanted)
    with simulator() as server, Supervisor(tmp_path) as supervisor:
        for name in ("one", "two"):
            supervisor.start(spec(name, environment(bootstrap, database_url, server.url)))
        for name in ("one", "two"):
            await asyncio.to_thread(supervisor.wait_ready, name)
        tokens.until_all()
        supervisor.stop("one")
        more = commands(20)
        await post(bootstrap, more)
        later = Tokens(bootstrap, more)
        later.until_all()
        supervisor.stop("two")

        assert_one_session_each(tokens, server, wanted)
        assert_one_session_each(later, server, more)
        assert all(len(outcomes) == 1 for outcomes in tokens.by_order.values()), "a clean stop repeats nothing"
        assert "stopped" in supervisor.log_path("one").read_text()
        assert supervisor.restarts("one") == supervisor.restarts("two") == 0
    tokens.close()
    later.close()


async def test_kills_and_a_lying_psp_make_no_second_session(bootstrap: str, database_url: str, tmp_path: Path) -> None:
    wanted = commands(120)
    tokens = Tokens(bootstrap, wanted)
    limit = 50
    with simulator(limit) as server, Supervisor(tmp_path) as supervisor:
        for kind in ("reset_after_commit", "truncated_body", "html_502", "rate_limit_429", "status_500_unsaved"):
            server.control.add_fault(kind, operation="checkout.sessions.create", probability=0.08)
        for name in ("one", "two"):
            supervisor.start(spec(name, environment(bootstrap, database_url, server.url, limit)))
        await post(bootstrap, wanted)
        for round_number in range(4):
            reached = (round_number + 1) * 15
            tokens.until(lambda reached=reached: len(tokens.by_order) >= reached)  # type: ignore[misc]
            name = "one" if round_number % 2 else "two"
            # After a stall one look finds the orders of several rounds: the last one's restart may not be over.
            until(lambda name=name: supervisor.pid(name) is not None, f"{name} runs again")  # type: ignore[misc]
            supervisor.kill(name)
        tokens.until_all()

        assert_one_session_each(tokens, server, wanted)
        stats = server.control.stats()
        assert stats["most_calls_per_second"]["checkout.sessions.create"] <= limit
    tokens.close()


async def test_stripe_away_pauses_consumption_dead_letters_nothing_and_drains_within_the_budget(
    bootstrap: str, database_url: str, tmp_path: Path
) -> None:
    wanted, limit = commands(150), 50
    tokens = Tokens(bootstrap, wanted)
    letters = log_ends(bootstrap, "payments.commands.dlt")
    env = environment(bootstrap, database_url, "", limit)
    with simulator(limit) as server, Supervisor(tmp_path) as supervisor:
        env["PAYONCE_STRIPE_API_BASE"] = server.url
        supervisor.start(spec("one", env))
        await asyncio.to_thread(supervisor.wait_ready, "one")
        server.control.add_fault("html_502")
        await post(bootstrap, wanted)
        await asyncio.to_thread(until, lambda: not is_ready(env), "consumption is paused")
        seen = server.control.stats()["calls"].get("checkout.sessions.list", 0)
        await asyncio.to_thread(
            until, lambda: server.control.stats()["calls"].get("checkout.sessions.list", 0) >= seen + 3, "canaries"
        )
        assert not is_ready(env)
        tokens.read()
        assert not tokens.by_order
        server.control.clear_faults()
        tokens.until_all()
        await asyncio.to_thread(until, lambda: is_ready(env), "consumption goes on")

        assert_one_session_each(tokens, server, wanted)
        most = server.control.stats()["most_calls_per_second"]
        assert max(most.values()) <= limit
    assert log_ends(bootstrap, "payments.commands.dlt") == letters
    tokens.close()


async def test_the_other_commands_of_an_order_on_the_simulator(
    bootstrap: str, database_url: str, tmp_path: Path
) -> None:
    """Paid, refunded in parts and read back; expired and tried again; cancelled: each as the simulator shows it."""
    paid, again, dropped = commands(3)
    tokens = Tokens(bootstrap, [paid, again, dropped])

    def said(command: RegisterPayment) -> list[str]:
        return [type(outcome).__name__ for outcome in tokens.by_order[command.order_id]]

    with simulator() as server, Supervisor(tmp_path) as supervisor:
        supervisor.start(spec("one", environment(bootstrap, database_url, server.url)))
        await post(bootstrap, [paid, again, dropped])
        tokens.until_all()
        (token,) = tokens.by_order[paid.order_id]
        assert isinstance(token, TokenIssued)
        await asyncio.to_thread(server.control.pay, token.session_id, method="card")
        second = replace(again, attempt=2)
        late = replace(paid, attempt=2)
        now = int(time.time())
        back = [
            RefundPayment(paid.order_id, name, None, amount, None, now, paid.api_version)
            for name, amount in (("part", 500), ("rest", None), ("more", 1))
        ]
        refresh = RefreshPayment(paid.order_id, "rfr_1", (), "a test", now, paid.api_version)
        await post(bootstrap, [late, *back, refresh, CancelPayment(paid.order_id, 1, now)])
        await post(bootstrap, [second, CancelPayment(dropped.order_id, 1, now)])
        tokens.until(lambda: [len(said(each)) for each in (paid, again, dropped)] == [9, 2, 2])

        outcomes = tokens.by_order[paid.order_id]
        assert [type(outcome) for outcome in outcomes[1:]] == [
            CommandRejected, RefundAccepted, RefundAccepted, RefundRejected,
            TokenIssued, CommandRejected, PspSnapshot,  # a refresh repeats what is recorded
            CommandRejected,
        ]  # fmt: skip
        accepted = [outcome.amount for outcome in outcomes if isinstance(outcome, RefundAccepted)]
        assert accepted == [500, 1499]
        snapshot = outcomes[7]
        assert isinstance(snapshot, PspSnapshot)
        kinds = sorted(each["object"] for each in snapshot.objects)
        assert kinds == ["charge", "checkout.session", "payment_intent", "refund", "refund"]
        assert len(server.control.refunds(order_id=paid.order_id)) == 2
        assert said(again) == ["TokenIssued", "TokenIssued"]
        statuses = [each["status"] for each in server.control.sessions(order_id=again.order_id)]
        assert statuses == ["expired", "open"]
        assert isinstance(tokens.by_order[dropped.order_id][1], AttemptCancelled)
        assert [each["status"] for each in server.control.sessions(order_id=dropped.order_id)] == ["expired"]
    tokens.close()
