"""What no topic takes is no outage: the command is set aside, and the worker goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from payonce.domain.commands import Command
from payonce.domain.events import PspSnapshot, TokenIssued
from services.psp_worker.assembly import Worker
from tests.fakes.clock import simulated
from tests.fakes.log import command_record
from tests.fakes.orders import refresh
from tests.fakes.psp_worker import FakeMember, World, settled
from tests.fakes.psp_worker_member import opened, with_worker
from tests.fakes.registrations import register


def dispute(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"dp_{number}",
        "object": "dispute",
        "status": "needs_response",
        "amount": 5,
        "currency": "eur",
        "payment_intent": "pi_cs_test_1",
        "charge": "ch_cs_test_1",
        "metadata": {},
        "balance_transactions": [{}],
        **fields,
    }


def issued(world: World) -> set[str]:
    """The orders that have their token."""
    return {each.order_id for each in world.outcomes() if isinstance(each, TokenIssued)}


def test_a_snapshot_tells_disputes_without_the_evidence() -> None:
    """It is personal, no fact is made of it, and with three disputes it may be larger than a record."""
    world = World()
    evidence = {"customer_name": "Jenny Rosen", "uncategorized_text": "\u8a3c" * 150_000}

    async def scenario() -> None:
        await world.handle(register())
        world.gateway.pay("cs_test_1")
        world.gateway.disputes += [dispute(number, evidence=evidence) for number in range(3)]
        await world.handle(refresh())

    simulated(scenario())
    (snapshot,) = [each for each in world.outcomes() if isinstance(each, PspSnapshot)]
    told = [dict(each) for each in snapshot.objects if each["object"] == "dispute"]
    assert sorted(told, key=lambda each: str(each["id"])) == [dispute(number) for number in range(3)]
    assert world.dead_letters() == []


def test_a_snapshot_larger_than_its_topic_is_a_dead_letter_and_holds_nobody_up() -> None:
    """Repeated as if the log were away, it would pause every partition, again after each restart."""

    async def scenario(world: World, worker: Worker, member: FakeMember) -> None:
        await opened(worker, member, 0)
        world.gateway.disputes += [dispute(number, networks="x" * 400_000) for number in range(3)]
        first, second = register(), register("another")
        commands: list[Command] = [first, refresh(), second]
        records = [command_record(each, offset=offset) for offset, each in enumerate(commands)]
        worker.intake.received(records[:1])
        await settled(lambda: len(world.outcomes()) == 1)
        world.gateway.pay("cs_test_1")

        worker.intake.received(records[1:])
        await settled(lambda: world.dead_letters() and issued(world) == {first.order_id, second.order_id})

        assert world.dead_letters() == ["too_large"]
        assert not worker.holds.active
        assert member.paused == frozenset()

    with_worker(scenario)


def test_a_trace_of_another_s_making_is_passed_on_unless_it_is_longer_than_traces_are() -> None:
    world = World()
    record = command_record(register())
    short, long = ("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"), ("tracestate", b"x" * 1_000_000)

    simulated(world.handle(replace(record, headers=(*record.headers, short, long))))

    (token,) = world.log.published
    headers = dict(token.headers)
    assert headers["traceparent"] == short[1]
    assert "tracestate" not in headers
