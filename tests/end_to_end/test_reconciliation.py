"""What the PSP never told us still ends right: the reconciler asks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from sandbox.world import World, WorldOptions
from tests.end_to_end.shop import Shop, eventually, type_of

pytestmark = pytest.mark.stack
#: What tells that an order is paid.
TELLING = ["checkout.session.completed", "payment_intent.succeeded", "charge.succeeded"]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A world whose reconciler asks soon."""
    options = WorldOptions(
        with_shop=True,
        reconciler_share=10,
        reconcile_interval_seconds=1,
        reconcile_grace_seconds=3,
        reconcile_asks_after={"registered": 5},
    )
    with World(options, on_progress=print) as running:
        yield running


@pytest.fixture
def shop(world: World) -> Iterator[Shop]:
    """A client app of that world; afterwards everything is told again."""
    with Shop(world) as client:
        yield client
        client.control("POST", "/webhooks", {"drop_types": [], "never_generate": []})
        client.calm()


def report(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`payonce reconcile` as ops run it."""
    environment = {
        **os.environ,
        "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": shop.addresses.kafka_bootstrap_servers,
        "PAYONCE_DATABASE_URL": shop.addresses.database_url,
        "PAYONCE_STRIPE_SECRET_KEY": shop.world.credentials.stripe_secret_key,
        "PAYONCE_STRIPE_API_BASE": str(shop.addresses.simulator_url),
        "PAYONCE_STRIPE_RECONCILER_SHARE": "10",
    }
    return subprocess.run(
        [sys.executable, "-m", "payonce", "reconcile", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_webhook_dropped_for_ever_still_ends_in_paid(shop: Shop) -> None:
    shop.control("POST", "/webhooks", {"drop_probability": 1})
    order = shop.registered()
    shop.pay(order)

    shop.wait_for_status(order["id"], "paid")

    webhooks = shop.records("payments.webhooks", key=order["id"])
    assert {type_of(message) for message in webhooks} >= {"com.stripe.checkout.session.completed"}


def test_the_same_events_by_both_ways_make_the_same_row(shop: Shop) -> None:
    """Some are dropped, some doubled: pushed and fetched bodies meet."""
    shop.control("POST", "/webhooks", {"drop_probability": 0.5, "duplicate_probability": 0.5})
    orders = [shop.registered() for _ in range(5)]
    for order in orders:
        shop.pay(order)

    for order in orders:
        paid = shop.wait_for_status(order["id"], "paid")
        assert (paid["amount_paid"], paid["flags"]) == (order["amount"], [])


def test_events_that_the_psp_never_made_still_end_in_paid(shop: Shop) -> None:
    """The list of events lacks them too: the order is asked after because it stays unfinished."""
    shop.control("POST", "/webhooks", {"never_generate": TELLING})
    order = shop.registered()
    shop.pay(order)

    paid = shop.wait_for_status(order["id"], "paid")

    assert (paid["amount_paid"], paid["flags"]) == (order["amount"], [])
    assert shop.records("payments.webhooks", key=order["id"]) == []
    refreshes = [type_of(message) for message in shop.records("payments.commands", key=order["id"])]
    assert "payonce.RefreshPayment.v1" in refreshes


def test_an_event_of_another_app_stops_waiting_and_leaves_nothing(shop: Shop) -> None:
    engine = create_engine(shop.addresses.database_url)

    def count(statement: str) -> int:
        with engine.begin() as connection:
            return int(connection.execute(text(statement)).scalar_one())

    shop.control("POST", "/foreign_sessions", {"client_reference_id": "someone else's", "amount": 700})
    eventually(lambda: count("SELECT count(*) FROM unresolved_event"), "the charge waits for its payment")
    with engine.begin() as connection:  # most of the first minute passes
        connection.execute(text("UPDATE unresolved_event SET waiting_since = waiting_since - interval '50 s'"))

    eventually(lambda: count("SELECT count(*) FROM foreign_reference"), "the PSP says that it is not ours")
    eventually(lambda: not count("SELECT count(*) FROM unresolved_event"), "the fold drops it")

    assert shop.records("payments.webhooks.dlt") == []
    engine.dispose()


def test_the_report_tells_drift_and_fix_has_it_repaired(shop: Shop) -> None:
    shop.control("POST", "/webhooks", {"drop_probability": 1})
    order = shop.registered()
    shop.world.supervisor.hold("reconciler")
    try:
        shop.pay(order)
        dry_run = report(shop, "--since", "1h", "--dry-run")
        assert dry_run.returncode == 1, dry_run.stdout + dry_run.stderr
        assert f"drift  {order['id']}  PostgreSQL: registered; PSP: checkout.session complete paid" in dry_run.stdout
        assert shop.order(order["id"])["status"] == "registered"

        assert report(shop, "--since", "1h", "--fix").returncode == 1
        shop.wait_for_status(order["id"], "paid")
        healed = report(shop, "--since", "1h")
        assert (healed.returncode, " 0 differ" in healed.stdout) == (0, True), healed.stdout
    finally:
        shop.world.supervisor.resume("reconciler")
