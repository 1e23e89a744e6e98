"""Rebuild and recompute on real Kafka and PostgreSQL: the topics are the truth, versions never go back."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.postgres import Database
from payonce.codec import decode_body
from services.status_processor.recomputing import foresee, recompute
from tests.services.status_processor_records import COMMANDS, Life, foreign_session, garbage
from tests.services.status_processor_workers import Workers

pytestmark = [pytest.mark.stack, pytest.mark.timeout(280)]

_first = itertools.count(int(time.time()) % 10**8 * 1_000 + 5 * 10**11, 10_000)


@pytest.fixture
def workers(bootstrap: str, database_url: str, tmp_path: Path) -> Iterator[Workers]:
    """No worker yet."""
    started = Workers(bootstrap, database_url, tmp_path)
    yield started
    started.close()


@pytest.fixture
def lives(workers: Workers) -> list[Life]:
    """A mixed set of events, shuffled, with repetitions and things that are no event of ours: folded by a worker."""
    first = next(_first)
    chosen = [Life(n) for n in range(first, first + 60)]
    records = [record for life in chosen for record in life.whole()]
    records += random.Random(first).choices(records, k=60)  # noqa: S311  (a seed of a test)
    records += [foreign_session(), garbage(COMMANDS), Life(first + 9_000).refund(5), Life(first + 9_001).refresh()]
    random.Random(first).shuffle(records)  # noqa: S311
    worker = workers.start()
    workers.publish(records)
    workers.wait_until(lambda: workers.count("disputed", references(chosen)) == 60, "all folded")
    workers.wait_until(lambda: workers.lag() == 0, "all acknowledged")
    workers.wait_until(lambda: workers.rows("SELECT count(*) FROM outbox")[0][0] == 0, "outbox empty")
    assert workers.end(worker) == 0
    return chosen


def references(lives: list[Life]) -> list[str]:
    return [life.terms.reference for life in lives]


def payonce(workers: Workers, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as ops would."""
    env = {
        **os.environ,
        "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": workers.bootstrap,
        "PAYONCE_DATABASE_URL": workers.engine.url.render_as_string(hide_password=False),
        "COLUMNS": "200",
    }
    return subprocess.run(
        [sys.executable, "-m", "payonce", *arguments], env=env, capture_output=True, text=True, timeout=200, check=False
    )


def what_is_same(workers: Workers) -> list[tuple[object, ...]]:
    columns = (
        "order_id, facts::text, payment_order_status, flags, amount_paid, psp_token, hosted_page_url, page_expires_at"
    )
    money = "order_id, psp_id, kind, payment, amount, currency, state, psp_status, occurred_at"
    return [
        *(tuple(row) for row in workers.rows(f"SELECT {columns} FROM payment_order ORDER BY order_id")),  # noqa: S608
        *(tuple(row) for row in workers.rows(f"SELECT {money} FROM payment_movement ORDER BY 1, 2, 3")),  # noqa: S608
    ]


def versions(workers: Workers) -> dict[str, int]:
    return dict(workers.rows("SELECT order_id, version FROM payment_order"))


def test_the_topics_give_the_same_rows(workers: Workers, lives: list[Life]) -> None:
    """Guarantee 9; and nothing is left behind: no schema, no announcement, no dead letter."""
    before, letters = what_is_same(workers), len(workers.read(f"{COMMANDS}.dlt", {b"?"}, 3))

    done = payonce(workers, "rebuild")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal" in done.stdout
    assert what_is_same(workers) == before
    assert workers.rows("SELECT count(*) FROM outbox")[0][0] == 0
    assert workers.rows("SELECT count(*) FROM pg_namespace WHERE nspname = 'rebuild'")[0][0] == 0
    assert len(workers.read(f"{COMMANDS}.dlt", {b"?"}, 3)) == letters


def test_damage_is_shown_and_replaced_and_announced(workers: Workers, lives: list[Life]) -> None:
    """A changed, a lost and an invented row, lost PSP ids: all as before, versions higher, only the public told."""
    true, announced = what_is_same(workers), versions(workers)
    changed, hidden, lost, kept, robbed = (life.order_id for life in lives[:5])
    workers.execute("UPDATE payment_order SET payment_order_status = 'paid' WHERE order_id = :id", id=changed)
    workers.execute("UPDATE payment_order SET psp_token = 'cs_wrong' WHERE order_id = :id", id=hidden)
    workers.execute("DELETE FROM payment_order WHERE order_id = :id", id=lost)
    workers.execute("DELETE FROM psp_reference WHERE order_id = :id", id=kept)
    workers.execute("DELETE FROM payment_event WHERE order_id = :id", id=kept)
    workers.execute("INSERT INTO payment_order (order_id) VALUES ('ord_invented')")
    workers.execute("DELETE FROM payment_movement WHERE order_id = :id AND kind = 'dispute'", id=robbed)
    workers.execute(
        "UPDATE payment_movement SET amount = amount + 1 WHERE order_id = :id AND kind = 'charge'", id=robbed
    )
    invented = "INSERT INTO payment_invoice (order_id, invoice_id, status, period_end, amount_paid, attempts) VALUES "
    workers.execute(
        f"{invented} ('ord_none', 'in_1', 'paid', now(), 5, 1), (:id, 'in_2', 'open', now(), 5, 1)", id=robbed
    )

    shown = payonce(workers, "rebuild")
    assert shown.returncode == 1, shown.stdout + shown.stderr
    for each in (changed, hidden, lost, robbed, "movements", "invoices", "ord_invented", "cs_wrong"):
        assert each in shown.stdout
    assert what_is_same(workers) != true

    replaced = payonce(workers, "rebuild", "--swap")

    assert replaced.returncode == 0, replaced.stdout + replaced.stderr
    assert what_is_same(workers) == true
    assert workers.rows("SELECT count(*) FROM payment_invoice")[0][0] == 0
    now = versions(workers)
    told = {row[0]: orjson.loads(bytes(row[1])) for row in workers.rows("SELECT order_id, body FROM outbox")}
    assert told.keys() == {changed, lost}
    assert {order_id for order_id in announced if now[order_id] != announced[order_id]} == told.keys()
    assert all(told[each]["version"] == now[each] > announced[each] for each in told)
    assert {each["payment_order_status"] for each in told.values()} == {"disputed"}
    assert workers.rows("SELECT count(*) FROM psp_reference WHERE order_id = :id", id=kept)[0][0] > 0
    assert workers.rows("SELECT count(*) FROM payment_event WHERE order_id = :id", id=kept)[0][0] > 0
    assert payonce(workers, "rebuild").returncode == 0
    workers.execute("DELETE FROM outbox")


def test_it_compares_while_the_worker_goes_on_but_does_not_replace(workers: Workers, lives: list[Life]) -> None:
    worker = workers.start()
    workers.wait_until(lambda: '"assigned"' in worker.log.read_text(), "it works")
    first = next(_first)
    more = [record for n in range(first, first + 200) for record in Life(n).whole()]
    workers.publish(more)

    assert payonce(workers, "rebuild").returncode == 0
    workers.execute("UPDATE payment_order SET attempt = 7 WHERE order_id = :id", id=lives[5].order_id)
    refused = payonce(workers, "rebuild", "--swap")

    assert refused.returncode == 2, refused.stdout
    assert "status_processor is running" in refused.stdout
    assert workers.rows("SELECT attempt FROM payment_order WHERE order_id = :id", id=lives[5].order_id)[0][0] == 7
    assert workers.end(worker) == 0
    assert payonce(workers, "rebuild", "--swap").returncode == 0


def test_after_a_change_of_rules_only_what_changes_is_written(workers: Workers, lives: list[Life]) -> None:
    """The rows of older rules are played by an UPDATE: the facts are right, what was made of them is not.

    So is a database whose orders are older than the tables of movements: they are filled, and nobody is told of it.
    """
    workers.execute("DELETE FROM outbox")
    before, announced = what_is_same(workers), versions(workers)
    old = [life.order_id for life in lives[:10]]
    workers.execute("UPDATE payment_order SET payment_order_status = 'paid' WHERE order_id = ANY(:ids)", ids=old)
    workers.execute("UPDATE payment_order SET psp_token = NULL WHERE order_id = :id", id=lives[10].order_id)
    older = [life.order_id for life in lives[11:15]]
    workers.execute("DELETE FROM payment_movement WHERE order_id = ANY(:ids)", ids=older)
    url = workers.engine.url.render_as_string(hide_password=False)

    dry = payonce(workers, "recompute", "--dry-run")
    assert "15 would change" in dry.stdout, dry.stdout + dry.stderr
    assert "paid -> disputed" in dry.stdout
    assert versions(workers) == announced
    with closing(PostgresFoldStore(Database(url, application_name="test"))) as store:
        result = asyncio.run(recompute(store, page=7))

    assert (result.changed, result.announced) == (15, 10)
    assert result.by_column["movements"] == len(older)
    assert what_is_same(workers) == before
    now = versions(workers)
    assert {each for each in announced if now[each] != announced[each]} == set(old)
    assert all(now[each] > announced[each] for each in old)
    bodies = [decode_body("OrderStatusChanged", bytes(row[0])) for row in workers.rows("SELECT body FROM outbox")]
    assert sorted(body.order_id for body in bodies) == sorted(old)
    assert foresee(Database(url, application_name="test")).changed == 0
    assert "0 changed" in payonce(workers, "recompute").stdout
    workers.execute("DELETE FROM outbox")
