"""PostgreSQL restored from an older backup under traffic: everything since then is caught up by itself.

The backup is a cold copy of the server's files, the restore puts it in the place of a crashed server's: exactly what
is lost when ops go back to last night's. Kafka and the PSP know more than the tables then.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from payonce.adapters.kafka.producer import producer_config
from payonce.audit import TOPIC as AUDIT_TOPIC
from payonce.catalog import topic_of
from payonce.ops_client.client import OpsClient
from payonce.verification import Report
from sandbox.stack.postgres import Postgres
from sandbox.world import World, WorldOptions
from tests.end_to_end.shop import Shop, body_of, eventually
from tests.end_to_end.traffic import Traffic
from tests.end_to_end.verifying import verified

#: How old the backup is when it is restored, at least: RESTORE_AGE_SECONDS=600 for the ten minutes of a real one.
AGE_SECONDS = float(os.environ.get("RESTORE_AGE_SECONDS", "0"))
#: After a restore the services start anew, and wait for what their dead sessions hold.
PATIENCE_SECONDS = 180.0

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600 + 3 * AGE_SECONDS)]


@pytest.fixture(scope="module")
def own_world() -> Iterator[World]:
    """A world whose database may go back in time."""
    with World(WorldOptions(with_shop=True, delayed_debit_seconds=3_600), on_progress=print) as running:
        yield running


@pytest.fixture
def shop(own_world: World) -> Iterator[Shop]:
    with Shop(own_world) as client:
        yield client


def backup(server: Postgres, copy: Path) -> None:
    """Stop the server, copy its files, start it: services wait meanwhile."""
    server.stop()
    copy_files(server.folder / "data", copy)
    server.start()


def restore(server: Postgres, copy: Path) -> None:
    """Crash the server and start it on the older files."""
    server.kill()
    shutil.rmtree(server.folder / "data")
    copy_files(copy, server.folder / "data")
    (server.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
    server.start()


def copy_files(source: Path, target: Path) -> None:
    """Copy a folder with the owners of its files: the server runs as a user of its own."""
    shutil.copytree(source, target)
    owner = source.stat()
    if os.geteuid() == 0:
        for path in (target, *target.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)


def announced(shop: Shop) -> dict[str, int]:
    """The greatest version of each order on payments.status."""
    versions: dict[str, int] = {}
    for message in shop.records("payments.status"):
        body = body_of(message)
        versions[body["order_id"]] = max(versions.get(body["order_id"], 0), body["version"])
    return versions


def discard_garbage(shop: Shop, name: str) -> None:
    """Send what nobody can read, discard its letter as an operator, and wait until the audit topic has it."""
    producer = Producer(producer_config(shop.addresses.kafka_bootstrap_servers, "end-to-end-tests"))
    producer.produce(topic_of("TokenIssued"), b"no", name, headers=[("ce_type", b"payonce.TokenIssued.v1")])
    assert producer.flush(20) == 0
    ops = OpsClient(shop.addresses.ops_url, shop.addresses.ops_token)
    letter = eventually(lambda: next(ops.letters({"order": name, "state": "open"}, 1), None), f"{name} is a letter")
    ops.discard(letter["id"], name)
    eventually(lambda: name in {body_of(each)["why"] for each in shop.records(AUDIT_TOPIC)}, f"{name} is anchored")


def test_a_backup_restored_under_traffic_is_caught_up_by_itself(own_world: World, shop: Shop, tmp_path: Path) -> None:
    """Every webhook answered 200 is in the tables, no version is below what was announced, nothing is doubled."""
    assert own_world.stack is not None
    server = own_world.stack.postgres
    with Traffic(own_world) as traffic:
        eventually(lambda: len(traffic.paid) >= 20, "orders before the backup", PATIENCE_SECONDS)
        discard_garbage(shop, "before-the-backup")
        backup(server, tmp_path / "backup")
        known, made_at = len(traffic.paid), time.monotonic()
        eventually(lambda: len(traffic.paid) >= known + 40, "orders since the backup", PATIENCE_SECONDS)
        eventually(lambda: time.monotonic() >= made_at + AGE_SECONDS, "the backup's age", AGE_SECONDS + 60)
        discard_garbage(shop, "since-the-backup")
        told = announced(shop)
        restore(server, tmp_path / "backup")
        known = len(traffic.paid)
        eventually(lambda: len(traffic.paid) >= known + 20, "orders since the restore", PATIENCE_SECONDS)

    for order_id in traffic.paid:
        shop.wait_for_status(order_id, "paid")
    for order_id in traffic.accepted:
        eventually(lambda order_id=order_id: shop.order(order_id), f"{order_id} is known")  # type: ignore[misc]
    assert {order_id: n for order_id in traffic.accepted if (n := shop.sessions_of(order_id)) > 1} == {}
    eventually(lambda: shop.rows("SELECT count(*) AS n FROM outbox")[0]["n"] == 0, "all is announced")
    rows = {row["order_id"]: row["version"] for row in shop.rows("SELECT order_id, version FROM payment_order")}
    assert {order_id: version for order_id, version in told.items() if rows.get(order_id, 0) < version} == {}

    discard_garbage(shop, "since-the-restore")

    def clean() -> Report | None:
        report = verified(own_world, grace_seconds=1)
        return None if report.violations else report

    report = eventually(clean, "verification is clean")
    assert {check.name for check in report.checks if check.checked == 0} <= NOTHING_TO_SEE
    deeds = {body["action"]: body["detail"] for body in map(body_of, shop.records(AUDIT_TOPIC))}
    assert (deeds["restore"]["first"], deeds["restore"]["last"]) == (2, 2), "what was done since the backup"


#: What this traffic makes none of.
NOTHING_TO_SEE = {
    "announcements do not wait",
    "a refund reference moves money once",
    "every movement belongs to a payment that was received",
    "every paid invoice has its charge",
    "every accepted refund has moved money",
    "every refund that moved is as the ledger has it",
}


def test_what_is_planted_in_a_living_world_is_found(own_world: World, shop: Shop) -> None:
    """Through the whole of it, with services running; afterwards it is as it was."""
    order: dict[str, Any] = shop.registered()
    assert eventually(lambda: not verified(own_world, grace_seconds=1).violations, "clean before")
    shop.execute("UPDATE payment_order SET psp_token = 'cs_else' WHERE order_id = :id", id=order["id"])

    report = verified(own_world, grace_seconds=1)

    assert [check.name for check in report.checks if check.violations] == ["every row is what its facts amount to"]
    assert [each.subject for check in report.checks for each in check.examples] == [order["id"]]
