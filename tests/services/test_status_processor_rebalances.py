"""Which records Faust hands over around a rebalance, on a real broker: every one, or the process ends."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from faust.types import TP

from payonce.adapters.clock import SystemClock
from payonce.ports import Record
from payonce.ports import TopicPartition as Place
from payonce.settings import StatusProcessorSettings
from services.status_processor import app
from services.status_processor.app import FaustShell
from services.status_processor.delivery import EagerConsumer
from services.status_processor.fold import Fold
from services.status_processor.succession import LOOKS, RecordsPassedOver

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

PARTITIONS = 2
#: Longer than Faust waits for records, and shorter than the group waits for a member.
_SECONDS_OF_A_SLOW_DATABASE = 1.5


class ToldFold:
    """Takes the place of a fold: remembers what it was given, and lets the test act around a rebalance."""

    def __init__(self) -> None:
        self.seen: set[tuple[int, int]] = set()
        self.assignments = 0
        self.on_revoked: Callable[[], None] = lambda: None
        self.database_seconds = 0.0

    async def assigned(self, committed: Mapping[Place, int | None], ends: Mapping[Place, int]) -> Mapping[Place, int]:
        self.assignments += 1
        await asyncio.sleep(self.database_seconds)
        return {}

    def revoked(self) -> None:
        self.on_revoked()

    def next_offset(self, place: Place) -> int:
        return 0

    async def run_once(self, batch: Sequence[Record]) -> None:
        self.seen.update((record.partition, record.offset) for record in batch)


class OneTopic:
    """A topic and a group that nobody else uses; `written` has partition and offset of each record that it has."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.name = f"rebalances-{uuid.uuid4().hex[:12]}"
        self.written: set[tuple[int, int]] = set()
        self._folder = folder
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._admin.create_topics([NewTopic(self.name, PARTITIONS, 1)])[self.name].result()
        self._producer = Producer({"bootstrap.servers": bootstrap})

    def publish(self) -> None:
        """Write a record into each partition, and wait until they are there."""
        self._publish(self._producer)

    def publish_in_a_transaction(self) -> None:
        """Write a record into each partition, with a marker behind it."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": self.name})
        producer.init_transactions(30)
        producer.begin_transaction()
        self._publish(producer)
        producer.commit_transaction(30)

    def expire_before(self, offset: int) -> None:
        """Let the records below the offset go, as retention does."""
        places = [TopicPartition(self.name, partition, offset) for partition in range(PARTITIONS)]
        for deleted in self._admin.delete_records(places).values():
            deleted.result()
        self.written = {(partition, each) for partition, each in self.written if each >= offset}

    def commit(self, offset: int) -> None:
        """Let the group have committed this offset everywhere."""
        places = [TopicPartition(self.name, partition, offset) for partition in range(PARTITIONS)]
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.name})
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()

    def _publish(self, producer: Producer) -> None:
        for partition in range(PARTITIONS):
            producer.produce(self.name, b"value", b"key", partition=partition, on_delivery=self._delivered)
        assert producer.flush(30) == 0

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        assert error is None
        self.written.add((message.partition() or 0, message.offset() or 0))

    @asynccontextmanager
    async def member(self, fold: ToldFold) -> AsyncIterator[FaustShell]:
        """Run a member of the group until the end of the block."""
        settings = StatusProcessorSettings(
            kafka_bootstrap_servers=self.bootstrap,
            database_url="postgresql://nobody@127.0.0.1/none",
            faust_data_folder=self._folder / uuid.uuid4().hex,
        )
        shell = FaustShell(settings, cast("Fold", fold), SystemClock())
        await shell.app.start()
        try:
            yield shell
        finally:
            await shell.app.stop()
        assert shell.app.crash_reason is None


@pytest.fixture
def topic(bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OneTopic:
    made = OneTopic(bootstrap, tmp_path)
    monkeypatch.setattr(app, "GROUP", made.name)
    monkeypatch.setattr(app, "topics_read_by", lambda _: (made.name,))
    return made


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for the condition."""
    try:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"{what}: not within a minute")


@pytest.fixture
def _a_fetch_is_always_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a fetch wait for records longer than a rebalance takes; with Faust's own second it often does."""
    fetch = EagerConsumer.getmany
    monkeypatch.setattr(EagerConsumer, "getmany", lambda self, timeout: fetch(self, timeout=30 * timeout))


@pytest.mark.usefixtures("_a_fetch_is_always_under_way")
async def test_the_first_record_of_a_partition_survives_a_rebalance(topic: OneTopic) -> None:
    """It arrives while the group rebalances and nothing is committed: a fetch from before takes it and drops it."""
    first, second = ToldFold(), ToldFold()

    def publish_once() -> None:
        first.on_revoked = lambda: None  # a later rebalance is not the subject
        topic.publish()

    async with topic.member(first):
        await until(lambda: first.assignments == 1, "the first has joined")
        first.on_revoked = publish_once
        first.database_seconds = _SECONDS_OF_A_SLOW_DATABASE
        async with topic.member(second):
            await until(lambda: first.assignments > 1 and second.assignments, "the second has joined")
            await until(lambda: topic.written, "the record is written")
            topic.publish()
            await until(lambda: {(0, 1), (1, 1)} <= first.seen | second.seen, "the later records are folded")

    assert first.seen | second.seen == topic.written


async def test_a_log_that_has_lost_its_end_is_read_anew(topic: OneTopic) -> None:
    """Else Faust drops what lies below the offset at which the group believes to be."""
    for _ in range(3):
        topic.publish()
    topic.commit(10)
    fold = ToldFold()
    async with topic.member(fold):
        await until(lambda: fold.seen == topic.written, "all of it is folded")


async def test_what_has_expired_and_the_markers_of_transactions_are_no_records(topic: OneTopic) -> None:
    fold = ToldFold()
    for _ in range(3):
        topic.publish()
    topic.expire_before(2)
    topic.publish_in_a_transaction()
    topic.publish()
    async with topic.member(fold):
        await until(lambda: fold.seen == topic.written, "what there is is folded")


async def test_a_record_that_is_passed_over_and_has_none_behind_it_is_missed(topic: OneTopic) -> None:
    """As the process's chore does, which has 5 s between two looks."""
    fold = ToldFold()
    async with topic.member(fold) as shell:
        topic.publish()
        await until(lambda: fold.seen == topic.written, "the first records are folded")
        consumer, place = shell.app.consumer, TP(topic.name, 0)
        consumer.pause_partitions({place})
        topic.publish()
        await consumer.seek_wait({place: 2})
        consumer.resume_partitions({place})
        await until(lambda: (1, 1) in fold.seen, "the other partition's record is folded")

        for _ in range(LOOKS - 1):
            await shell.look()
        with pytest.raises(RecordsPassedOver):
            await shell.look()
