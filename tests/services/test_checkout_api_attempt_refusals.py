"""What new attempts and cancellations have in common: who may ask, and what is answered while a part is away."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.order_row import OrderRow
from tests.fakes.attempt_requests import CLOSED, ORDER_ID, send
from tests.fakes.checkout_api import OTHER_KEY, READER_KEY, World, folded, kind, row
from tests.fakes.order_messages import commanded, issued

BOTH = pytest.mark.parametrize(("verb", "body"), [("attempts", {"attempt": 2}), ("cancel", None)])
READY: dict[str, list[Any]] = {"attempts": CLOSED["expired"], "cancel": [commanded(), issued()]}


@BOTH
async def test_an_order_that_is_unknown_or_another_clients_is_404(verb: str, body: object) -> None:
    world = World()
    unknown = await send(world, verb, body)
    world.archive.fold(*READY[verb])
    theirs = await send(world, verb, body, key=OTHER_KEY)

    assert (unknown.status_code, theirs.status_code) == (404, 404)
    assert unknown.json() == theirs.json()
    assert world.producer.records == []


@BOTH
async def test_without_the_scope_it_is_403(verb: str, body: object) -> None:
    assert (await send(folded(*READY[verb]), verb, body, key=READER_KEY)).status_code == 403


@BOTH
async def test_postgresql_away_is_503_for_the_order_cannot_be_judged(verb: str, body: object) -> None:
    world = folded(*READY[verb])
    world.orders.answers = False
    silent = await send(world, verb, body)
    world.orders.healthy = False
    away = await send(world, verb, body)

    assert (silent.status_code, away.status_code) == (503, 503)
    assert "retry-after" in away.headers
    assert world.producer.records == []


@BOTH
@pytest.mark.parametrize("state", ["refusing", "silent"])
async def test_kafka_away_is_503_and_the_same_request_succeeds_afterwards(verb: str, body: object, state: Any) -> None:
    world = folded(*READY[verb])
    world.producer.state = state
    refused_answer = await send(world, verb, body, prefer="wait=5")
    world.producer.state = "up"

    assert (refused_answer.status_code, kind(refused_answer)) == (503, "temporarily_unavailable")
    assert (await send(world, verb, body)).status_code == 202
    assert len(world.producer.records) == 1


def test_the_row_that_these_tests_fold_is_the_one_that_others_put_by_hand() -> None:
    made: OrderRow = folded(commanded(), issued()).orders.rows[ORDER_ID]
    by_hand = row("registered")

    names = ("order_id", "client_id", "reference", "body_hash", "amount", "currency", "status", "hosted_page_url")
    assert [getattr(made, name) for name in names] == [getattr(by_hand, name) for name in names]
