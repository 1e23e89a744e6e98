"""The whole process on real Kafka and PostgreSQL: nothing is lost whatever is killed, stopped or restored."""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from payonce.settings import StatusProcessorSettings
from services.status_processor import __main__ as process
from services.status_processor.exit_codes import ExitCode
from tests.services.status_processor_records import COMMANDS, TOKENS, WEBHOOKS, Life, garbage, webhook
from tests.services.status_processor_workers import Workers
from tests.stacks import ChosenStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(280)]

#: Numbers of orders that no other run on the same broker has used.
_first = itertools.count(int(time.time()) % 10**8 * 1_000, 10_000)


@pytest.fixture
def workers(bootstrap: str, database_url: str, tmp_path: Path) -> Iterator[Workers]:
    """No worker yet."""
    started = Workers(bootstrap, database_url, tmp_path)
    yield started
    started.close()


def some_lives(number: int) -> list[Life]:
    first = next(_first)
    return [Life(n) for n in range(first, first + number)]


def references(lives: list[Life]) -> list[str]:
    return [life.terms.reference for life in lives]


def stories(lives: list[Life]) -> list:  # type: ignore[type-arg]
    """Four records a life, shuffled: in the end each is paid."""
    records = [record for life in lives for record in (life.register(), life.token(), life.paid(), life.succeeded())]
    random.Random(lives[0].n).shuffle(records)  # noqa: S311  (a seed of a test)
    return records


def test_two_thousand_records_are_folded_announced_and_acknowledged(workers: Workers) -> None:
    lives = some_lives(500)
    workers.publish(stories(lives))

    worker = workers.start()
    workers.wait_until(lambda: workers.count("paid", references(lives)) == 500, "all paid")
    workers.wait_until(lambda: workers.rows("SELECT count(*) FROM outbox")[0][0] == 0, "outbox empty")
    workers.wait_until(lambda: workers.lag() == 0, "all acknowledged")

    newest: dict[bytes, tuple[int, str]] = {}
    for message in workers.read("payments.status", {life.order_id.encode() for life in lives}, 12):
        body = orjson.loads(message.value())
        newest[message.key()] = max(newest.get(message.key(), (0, "")), (body["version"], body["payment_order_status"]))
    assert {status for _, status in newest.values()} == {"paid"}
    assert len(newest) == 500
    assert workers.end(worker) == ExitCode.CLEAN


def test_a_worker_killed_in_the_middle_loses_nothing(workers: Workers) -> None:
    lives, more = some_lives(500), some_lives(500)
    first = workers.start()
    workers.publish(stories(lives))
    workers.wait_until(lambda: workers.count("paid", references(lives)) > 0, "some are paid")
    workers.publish(stories(more))
    first.kill()

    workers.start()
    workers.wait_until(lambda: workers.count("paid", references(lives + more)) == 1_000, "all paid")
    workers.wait_until(lambda: workers.lag() == 0, "all acknowledged")


def test_postgresql_is_stopped_and_comes_back(workers: Workers, stack: ChosenStack) -> None:
    """The worker waits, lets a second one join, and both go on by themselves; nothing becomes a dead letter."""
    if stack.embedded is None:
        pytest.skip("only the embedded PostgreSQL can be stopped")
    before, during = some_lives(20), some_lives(200)
    worker = workers.start()
    workers.publish(stories(before))
    workers.wait_until(lambda: workers.count("paid", references(before)) == 20, "the first are paid")

    stack.embedded.postgres.stop("immediate")
    workers.engine.dispose()
    workers.publish(stories(during))
    workers.wait_until(lambda: "the fold waits" in worker.log.read_text(), "it waits")
    second = workers.start()
    workers.wait_until(lambda: "the positions are read later" in second.log.read_text(), "the second has joined")
    stack.embedded.postgres.start()
    workers.wait_until(lambda: workers.count("paid", references(during)) == 200, "all paid")

    assert [worker.exit_code(), second.exit_code()] == [None, None]
    assert workers.read(f"{COMMANDS}.dlt", {life.order_id.encode() for life in during}, 3) == []
    workers.wait_until(lambda: workers.rows("SELECT count(*) FROM outbox")[0][0] == 0, "outbox empty")


def test_a_second_worker_joins_and_leaves(workers: Workers) -> None:
    """Traffic goes on meanwhile; both end cleanly, and no position was written by two."""
    lives = some_lives(600)
    first = workers.start()
    workers.publish(stories(lives[:200]))
    workers.wait_until(lambda: workers.count("paid", references(lives)) > 0, "the first works")
    second = workers.start()
    workers.publish(stories(lives[200:400]))
    workers.wait_until(lambda: "assigned" in second.log.read_text(), "the second has joined")
    workers.publish(stories(lives[400:]))
    assert workers.end(second) == ExitCode.CLEAN

    workers.wait_until(lambda: workers.count("paid", references(lives)) == 600, "all paid")
    workers.wait_until(lambda: workers.lag() == 0, "all acknowledged")
    assert workers.end(first) == ExitCode.CLEAN


def test_a_database_restored_from_a_backup_catches_up(workers: Workers) -> None:
    """Kafka's committed offsets are ahead of the rows: the worker goes back to the rows' own positions."""
    lives = some_lives(100)
    first = workers.start()
    workers.publish(stories(lives))
    workers.wait_until(lambda: workers.count("paid", references(lives)) == 100, "all paid")
    workers.wait_until(lambda: workers.lag() == 0, "all acknowledged")
    backup = workers.rows("SELECT topic, partition, next_offset FROM fold_position")
    later = some_lives(100)
    workers.publish(stories(later))
    workers.wait_until(lambda: workers.count("paid", references(later)) == 100, "all paid")
    workers.wait_until(lambda: workers.lag() == 0, "all acknowledged")
    assert workers.end(first) == ExitCode.CLEAN

    workers.execute("DELETE FROM payment_order WHERE reference = ANY(:gone)", gone=references(later))
    for topic, partition, offset in backup:
        workers.execute(
            "UPDATE fold_position SET next_offset = :offset WHERE topic = :topic AND partition = :partition",
            topic=topic,
            partition=partition,
            offset=offset,
        )
    workers.start()

    workers.wait_until(lambda: workers.count("paid", references(later)) == 100, "all paid again")


def test_a_database_restored_under_a_running_worker_ends_it_and_the_next_one_catches_up(workers: Workers) -> None:
    lives, later = some_lives(50), some_lives(50)
    first = workers.start()
    workers.publish(stories(lives))
    workers.wait_until(lambda: workers.count("paid", references(lives)) == 50, "all paid")
    workers.wait_until(lambda: workers.lag() == 0, "all acknowledged")
    workers.execute("DELETE FROM payment_order WHERE reference = ANY(:gone)", gone=references(lives))
    workers.execute("DELETE FROM fold_position")

    workers.publish(stories(later))
    workers.wait_until(lambda: first.exit_code() is not None, "it ends")
    assert first.exit_code() == ExitCode.POSITION_MOVED
    workers.start()
    workers.wait_until(lambda: workers.count("paid", references([*lives, *later])) == 100, "all paid again")


def test_a_client_that_passes_records_over_ends_the_worker_and_the_next_one_reads_them(workers: Workers) -> None:
    lives = some_lives(50)
    workers.publish(stories(lives))
    first = workers.start("tests.services.strange_client_process", "passes_over")
    workers.wait_until(lambda: first.exit_code() is not None, "it ends")
    assert first.exit_code() == ExitCode.RECORDS_PASSED_OVER

    workers.start()
    workers.wait_until(lambda: workers.count("paid", references(lives)) == 50, "all paid")
    workers.wait_until(lambda: workers.lag() == 0, "all acknowledged")


def test_an_assignment_without_positions_to_begin_at_ends_the_worker(workers: Workers) -> None:
    """Faust would end the task that resumes the flow, and nothing else: a member that reads nothing, for ever."""
    worker = workers.start("tests.services.strange_client_process", "never_begins")
    workers.wait_until(lambda: worker.exit_code() is not None, "it ends")

    assert worker.exit_code() == ExitCode.KAFKA_AWAY


def test_garbage_is_set_aside_and_blocks_nothing(workers: Workers) -> None:
    lives = some_lives(100)
    records = stories(lives)
    keys = set()
    for number, topic in enumerate([COMMANDS, TOKENS, WEBHOOKS] * 20):
        bad = garbage(topic, b"\xff\x00" * number)
        keys.add(bad.key or b"")
        records.insert(number * 5, bad)
    poison = Life(next(_first))
    # No index takes a PSP id of that length, and this one cannot be compressed.
    endless = f"re_{random.Random(1).randbytes(6_000).hex()}"  # noqa: S311  (a seed of a test)
    refund = {"id": endless, "object": "refund", "status": "succeeded", "amount": 1, "currency": "eur"}
    records.insert(50, webhook("evt_endless", "refund.created", refund, key=poison.order_id))
    before = {topic: len(workers.read(f"{topic}.dlt", keys, 3)) for topic in (COMMANDS, TOKENS, WEBHOOKS)}

    workers.start()
    workers.publish(records)
    workers.wait_until(lambda: workers.count("paid", references(lives)) == 100, "all paid")
    workers.wait_until(lambda: workers.lag() == 0, "all acknowledged")

    after = {topic: len(workers.read(f"{topic}.dlt", keys, 3)) for topic in (COMMANDS, TOKENS, WEBHOOKS)}
    assert {topic: after[topic] - before[topic] for topic in after} == {COMMANDS: 20, TOKENS: 20, WEBHOOKS: 20}
    [letter] = workers.read(f"{WEBHOOKS}.dlt", {poison.order_id.encode()}, 3)
    assert dict(letter.headers())["dlt-reason"] == b"rejected_by_database"


def test_sigterm_before_the_first_assignment_ends_it_cleanly(workers: Workers) -> None:
    worker = workers.start()
    workers.wait_until(lambda: worker.log.stat().st_size > 0, "it has begun")
    worker.send(signal.SIGTERM)

    assert worker.wait(60)
    assert worker.exit_code() in {ExitCode.CLEAN, -signal.SIGTERM}


def test_a_missing_topic_is_named_and_refused(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "topics_written_by", lambda _process: ("payments.nowhere",))

    refusal = process._refusal(StatusProcessorSettings(kafka_bootstrap_servers=bootstrap))

    assert refusal is ExitCode.TOPICS_MISSING
