"""Parts that are away cost time, never money."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sandbox.stack import Stack
from tests.end_to_end.shop import Shop, eventually

pytestmark = pytest.mark.stack


def stack_of(shop: Shop) -> Stack:
    assert shop.world.stack is not None
    return shop.world.stack


def test_kafka_stopped_is_503_and_the_same_request_succeeds_when_it_is_back(shop: Shop) -> None:
    """Never a false 202."""
    body = shop.body()
    stack_of(shop).kafka.stop()
    try:
        refused = shop.post(body)
    finally:
        stack_of(shop).kafka.start()

    assert refused.status_code == 503
    assert "Retry-After" in refused.headers
    accepted = eventually(lambda: found if (found := shop.post(body, wait=20)).status_code == 201 else None, "accepted")
    assert shop.sessions_of(accepted.json()["id"]) == 1


def test_postgresql_stopped_still_accepts_orders_and_all_is_caught_up_afterwards(shop: Shop) -> None:
    before = shop.registered()
    stack_of(shop).postgres.stop(mode="immediate")
    try:
        accepted = [shop.post(shop.body()) for _ in range(5)]
        assert {answer.status_code for answer in accepted} == {202}
        shop.pay(before)
    finally:
        stack_of(shop).postgres.start()

    shop.wait_for_status(before["id"], "paid")
    for answer in accepted:
        shop.wait_for_status(answer.json()["id"], "registered")
        assert shop.sessions_of(answer.json()["id"]) == 1


@pytest.mark.parametrize("process", ["checkout_api", "psp_worker", "status_processor"])
def test_a_process_killed_in_flight_loses_and_doubles_nothing(shop: Shop, process: str) -> None:
    placed = [shop.post(shop.body()) for _ in range(30)]
    shop.world.supervisor.kill(process)
    orders = [answer.json()["id"] for answer in placed if answer.status_code == 202]

    for order_id in orders:
        assert shop.wait_for_status(order_id, "registered")

    assert len(orders) == 30
    assert [1] * len(orders) == [shop.sessions_of(order_id) for order_id in orders]
    shop.world.supervisor.wait_ready(process)


@pytest.mark.timeout(900)
def test_the_demo_agrees_although_every_service_is_killed_in_it() -> None:
    """`kill -9` of any service during the demo changes nothing in the summary."""
    kills = [flag for name in ("psp_worker", "status_processor", "checkout_api") for flag in ("--kill", name)]

    demo = subprocess.run(
        [sys.executable, "-m", "sandbox.demo", "--orders", "120", "--rate", "15", "--exit", *kills],
        capture_output=True,
        text=True,
        check=False,
        timeout=840,  # only a guard: a minute here
    )

    assert demo.returncode == 0, demo.stdout[-4_000:] + demo.stderr[-4_000:]
    assert "all equal" in demo.stdout
    assert demo.stdout.count("with SIGKILL") == 3
