"""The group member on real Kafka: rebalances, pauses, going back, committing, and never living on in silence."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from confluent_kafka import Consumer as KafkaClient
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic

from payonce.adapters.clock import SystemClock
from payonce.adapters.kafka.consumer import ConsumerEnded, GroupConsumer
from payonce.adapters.kafka.consumer_config import consumer_config
from payonce.adapters.kafka.producer import KafkaProducer
from payonce.adapters.kafka.topics import BrokersAway, partition_counts
from payonce.ports import OutgoingRecord, Record, TopicPartition

pytestmark = pytest.mark.stack
PARTITIONS = 4


class Notebook:
    """A subscriber that opens what it gets, notes what it reads, and finishes it at once."""

    def __init__(self, *, opens: bool = True) -> None:
        self.committed: dict[TopicPartition, int | None] = {}
        self.records: list[Record] = []
        self.next: dict[TopicPartition, int] = {}
        self.gone: list[tuple[str, TopicPartition]] = []
        self.start_at: dict[TopicPartition, int] = {}
        self.opens = opens
        self.member: GroupConsumer | None = None

    def assigned(self, committed: Mapping[TopicPartition, int | None]) -> None:
        self.committed.update(committed)
        assert self.member is not None
        for name in committed if self.opens else ():
            self.member.open(name, self.start_at.get(name))

    def received(self, records: Sequence[Record]) -> None:
        self.records.extend(records)
        self.next.update({record.topic_partition: record.offset + 1 for record in records})

    async def revoked(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.gone.extend(("revoked", name) for name in partitions)
        self.committed = {name: at for name, at in self.committed.items() if name not in partitions}
        return {name: self.next[name] for name in partitions if name in self.next}

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.gone.extend(("lost", name) for name in partitions)
        self.committed = {name: at for name, at in self.committed.items() if name not in partitions}

    def values(self) -> list[bytes]:
        """Return the values read, sorted."""
        return sorted(record.value or b"" for record in self.records)


@pytest.fixture
async def topic(bootstrap: str) -> str:
    """A topic of this test's own."""
    name = f"test.{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    await asyncio.to_thread(admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result)
    return name


async def fill(bootstrap: str, topic: str, count: int, start: int = 0) -> list[bytes]:
    producer = KafkaProducer(bootstrap, client_id="test")
    values = [b"%06d" % number for number in range(start, start + count)]
    await asyncio.gather(*(producer.publish(OutgoingRecord(topic, value, value, (("h", b"1"),))) for value in values))
    await producer.close()
    return values


@asynccontextmanager
async def joined(
    bootstrap: str, topic: str, group: str, notebook: Notebook, *, instance: str | None = None
) -> AsyncIterator[GroupConsumer]:
    config = consumer_config(bootstrap, group=group, session_timeout_ms=6000, group_instance_id=instance)
    member = GroupConsumer(config, [topic], notebook, SystemClock().monotonic)
    notebook.member = member
    member.start()
    try:
        yield member
    finally:
        await member.stop()


async def until(condition: Callable[[], bool], seconds: float = 40) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came true"
        await asyncio.sleep(0.02)


def committed(bootstrap: str, topic: str, group: str) -> int:
    client = KafkaClient({"bootstrap.servers": bootstrap, "group.id": group})
    found = client.committed([KafkaPartition(topic, number) for number in range(PARTITIONS)], timeout=10)
    client.close()
    return sum(max(partition.offset, 0) for partition in found)


async def test_everything_is_read_once_and_the_last_commit_is_made_on_leaving(bootstrap: str, topic: str) -> None:
    values = await fill(bootstrap, topic, 300)
    first, second = Notebook(), Notebook()
    async with joined(bootstrap, topic, topic, first):
        await until(lambda: len(first.records) == 300)
    assert committed(bootstrap, topic, topic) == 300
    more = await fill(bootstrap, topic, 50, start=300)
    async with joined(bootstrap, topic, topic, second):
        await until(lambda: len(second.records) == 50)

    assert first.values() == values
    assert second.values() == more
    assert first.records[0].header("h") == "1"
    assert [kind for kind, _ in first.gone] == ["revoked"] * PARTITIONS


async def test_a_second_member_takes_over_only_its_share_and_nothing_is_read_twice(bootstrap: str, topic: str) -> None:
    values = await fill(bootstrap, topic, 200)
    first, second = Notebook(), Notebook()
    async with joined(bootstrap, topic, topic, first):
        await until(lambda: len(first.records) == 200)
        async with joined(bootstrap, topic, topic, second):
            await until(lambda: len(second.committed) == PARTITIONS // 2 == len(first.committed))
            assert len(first.gone) == PARTITIONS // 2
            values += await fill(bootstrap, topic, 200, start=200)
            await until(lambda: len(first.records) + len(second.records) == 400)
        await until(lambda: len(first.committed) == PARTITIONS)
        values += await fill(bootstrap, topic, 40, start=400)
        await until(lambda: len(first.records) + len(second.records) == 440)

    assert sorted(first.values() + second.values()) == values


async def test_a_partition_that_is_not_opened_reads_nothing(bootstrap: str, topic: str) -> None:
    await fill(bootstrap, topic, 100)
    notebook = Notebook(opens=False)
    async with joined(bootstrap, topic, topic, notebook) as member:
        await until(lambda: len(notebook.committed) == PARTITIONS)
        polls = {member.last_poll_at()}
        while len(polls) < 10:
            await asyncio.sleep(0.02)
            polls.add(member.last_poll_at())
        assert notebook.records == []
        for name in notebook.committed:
            member.open(name, None)
        await until(lambda: len(notebook.records) == 100)


async def test_opening_further_back_reads_again_from_there(bootstrap: str, topic: str) -> None:
    await fill(bootstrap, topic, 100)
    first, again = Notebook(), Notebook()
    async with joined(bootstrap, topic, topic, first):
        await until(lambda: len(first.records) == 100)
    again.start_at = {TopicPartition(topic, number): 0 for number in range(PARTITIONS)}
    async with joined(bootstrap, topic, topic, again):
        await until(lambda: len(again.records) == 100)
        assert sum(at or 0 for at in again.committed.values()) == 100

    assert again.values() == first.values()


async def test_paused_partitions_stay_paused_and_lose_nothing(bootstrap: str, topic: str) -> None:
    notebook = Notebook()
    everything = frozenset(TopicPartition(topic, number) for number in range(PARTITIONS))
    async with joined(bootstrap, topic, topic, notebook) as member:
        member.pause(everything)
        await until(lambda: len(notebook.committed) == PARTITIONS)
        await fill(bootstrap, topic, 100)
        polls = {member.last_poll_at()}
        while len(polls) < 10:
            await asyncio.sleep(0.02)
            polls.add(member.last_poll_at())
        assert notebook.records == []
        member.pause(frozenset())
        await until(lambda: len(notebook.records) == 100)
        member.pause(everything)
        await fill(bootstrap, topic, 100, start=100)
        member.pause(frozenset())
        await until(lambda: len(notebook.records) == 200)


async def test_commits_asked_for_by_the_loop_are_made(bootstrap: str, topic: str) -> None:
    await fill(bootstrap, topic, 100)
    notebook = Notebook()
    async with joined(bootstrap, topic, topic, notebook) as member:
        await until(lambda: len(notebook.records) == 100)
        member.commit(dict(notebook.next))
        deadline = asyncio.get_running_loop().time() + 20
        while await asyncio.to_thread(committed, bootstrap, topic, topic) != 100:
            assert asyncio.get_running_loop().time() < deadline


async def test_a_member_whose_name_is_taken_ends_and_says_so(bootstrap: str, topic: str) -> None:
    """A fenced member that went on reading would call the PSP beside its successor."""
    older, newer = Notebook(), Notebook()
    async with joined(bootstrap, topic, topic, older, instance="same") as member:
        await until(lambda: len(older.committed) == PARTITIONS)
        async with joined(bootstrap, topic, topic, newer, instance="same"):
            await until(member.ended.done)
            assert isinstance(member.ended.exception(), ConsumerEnded)
            await until(lambda: len(newer.committed) == PARTITIONS)


async def test_an_error_in_the_subscriber_ends_the_member(bootstrap: str, topic: str) -> None:
    class Broken(Notebook):
        async def revoked(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
            raise RuntimeError("a bug")

    notebook = Broken()
    async with joined(bootstrap, topic, topic, notebook) as member:
        await until(lambda: len(notebook.committed) == PARTITIONS)
    assert isinstance(member.ended.exception(), RuntimeError)


async def test_a_topic_that_does_not_exist_ends_the_member(bootstrap: str) -> None:
    async with joined(bootstrap, "test.no-such-topic", uuid.uuid4().hex, Notebook()) as member:
        await until(member.ended.done, seconds=60)
        assert isinstance(member.ended.exception(), ConsumerEnded)


def test_partition_counts_name_what_is_there(bootstrap: str) -> None:
    assert partition_counts(bootstrap, ["payments.commands", "test.no-such-topic"]) == {"payments.commands": 12}


def test_without_a_broker_the_counts_say_so() -> None:
    with pytest.raises(BrokersAway, match=r"127\.0\.0\.1:1"):
        partition_counts("127.0.0.1:1", ["payments.commands"], timeout_seconds=0.5)
