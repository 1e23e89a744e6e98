"""`payonce verify` on real Kafka and PostgreSQL: each planted violation is found by the check that is there for it.

Other tests write to the same topics, so each case compares the count before and after its own deed.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from payonce.ports import OutgoingRecord
from payonce.verification import Report, verify
from tests.services.planted_violations import KEPT, PLANTED, WEBHOOKS_FOLDED
from tests.services.status_processor_records import COMMANDS, Life
from tests.services.status_processor_workers import Workers

pytestmark = [pytest.mark.stack, pytest.mark.timeout(280)]
_first = itertools.count(int(time.time()) % 10**8 * 1_000 + 7 * 10**11, 10_000)
COUNT = 20


@dataclass
class Table:
    """Twenty lives that a worker has folded; no worker is running."""

    workers: Workers
    lives: list[Life]

    @property
    def url(self) -> str:
        return self.workers.engine.url.render_as_string(hide_password=False)

    def verified(self) -> Report:
        return verify(self.workers.bootstrap, self.url, grace_seconds=-5)  # everything is old

    def violations(self) -> dict[str, int]:
        return {check.name: check.violations for check in self.verified().checks}

    def publish(self, *records: OutgoingRecord) -> None:
        self.workers.publish(records)


@pytest.fixture(scope="module")
def table(bootstrap: str, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    workers = Workers(bootstrap, database_url, tmp_path_factory.mktemp("verify"))
    first = next(_first)
    lives = [Life(n) for n in range(first, first + COUNT)]
    worker = workers.start()
    workers.publish(record for life in lives for record in life.whole())
    references = [life.terms.reference for life in lives]
    workers.wait_until(lambda: workers.count("disputed", references) == COUNT, "all folded")
    workers.wait_until(lambda: workers.lag() == 0, "all acknowledged")
    workers.wait_until(lambda: workers.rows("SELECT count(*) FROM outbox")[0][0] == 0, "outbox empty")
    assert workers.end(worker) == 0
    yield Table(workers, lives)
    workers.close()


@pytest.fixture(scope="module")
def clean(table: Table) -> dict[str, int]:
    """What is found before anything is planted."""
    return table.violations()


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found_and_nothing_else(name: str, table: Table, clean: dict[str, int]) -> None:
    statement, expected = PLANTED[name]
    for each in KEPT:
        table.workers.execute(f"CREATE TABLE kept_{each} AS SELECT * FROM {each}")  # noqa: S608
    try:
        table.workers.execute(statement, id=table.lives[0].order_id)
        found = table.violations()
    finally:
        for each in KEPT:
            table.workers.execute(f"TRUNCATE {each}")
            how = "OVERRIDING SYSTEM VALUE" if each == "outbox" else ""
            table.workers.execute(f"INSERT INTO {each} {how} SELECT * FROM kept_{each}")  # noqa: S608
            table.workers.execute(f"DROP TABLE kept_{each}")

    assert {check: count - clean[check] for check, count in found.items() if count != clean[check]} == expected


def test_what_the_fold_has_skipped_or_not_read_is_found(table: Table) -> None:
    """A position that was moved over records loses them; one that stays behind only delays them."""
    before = table.violations()
    lost = Life(next(_first))
    table.publish(lost.register(), lost.token(), lost.paid())
    unread = table.violations()
    assert {name: unread[name] - before[name] for name in unread if unread[name] != before[name]} == {
        f"payments.{name}: nothing old is unread by the fold": 1 for name in ("commands", "tokens", "webhooks")
    }

    table.workers.execute("UPDATE fold_position SET next_offset = next_offset + 1 WHERE topic = 'payments.webhooks'")
    behind = [
        each for each in table.verified().checks if each.name == "payments.webhooks: nothing old is unread by the fold"
    ]
    assert behind[0].violations == 0
    skipped = table.violations()
    assert skipped[WEBHOOKS_FOLDED] == before[WEBHOOKS_FOLDED] + 1


def test_a_command_without_an_outcome_and_a_letter_without_an_origin_are_found(table: Table) -> None:
    before = table.violations()
    table.publish(Life(next(_first)).register(), OutgoingRecord(f"{COMMANDS}.dlt", b"k", b"v"))

    after = table.violations()

    assert after["every command has an outcome or a dead letter"] == (
        before["every command has an outcome or a dead letter"] + 1
    )
    assert after["dead letters say where they come from"] == before["dead letters say where they come from"] + 1


def test_an_announcement_that_goes_back_is_found(table: Table) -> None:
    before = table.violations()
    [row] = table.workers.rows(
        "SELECT order_id, version FROM payment_order WHERE order_id = :id", id=table.lives[1].order_id
    )
    told = list(table.workers.read("payments.status", {row[0].encode()}, 12))
    old = told[-1].value().replace(str(row[1]).encode(), str(row[1] - 10**9).encode())
    table.publish(OutgoingRecord("payments.status", row[0].encode(), old, tuple(told[-1].headers())))
    table.publish(OutgoingRecord("payments.status", row[0].encode(), told[-1].value(), tuple(told[-1].headers())))

    after = table.violations()

    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "announced versions never go back": 1
    }


def test_the_command_shows_it_and_exits_by_it(table: Table) -> None:
    env = {
        **os.environ,
        "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": table.workers.bootstrap,
        "PAYONCE_DATABASE_URL": table.url,
        "COLUMNS": "200",
    }
    table.workers.execute("UPDATE payment_order SET attempt = 9 WHERE order_id = :id", id=table.lives[2].order_id)

    done = subprocess.run(
        [sys.executable, "-m", "payonce", "verify", "--grace", "-5"],
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{table.lives[2].order_id}: attempt do not follow from its facts" in done.stdout
