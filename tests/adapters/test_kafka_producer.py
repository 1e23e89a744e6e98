"""The producer answers every publisher, whatever becomes of it; on the mock cluster of the library itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from payonce.adapters.kafka.producer import KafkaProducer, ProducerEnded
from payonce.catalog import topics
from payonce.ports import OutgoingRecord, PublishFailed, RecordTooLarge
from tests.fakes.mock_kafka import (
    MESSAGE_TOO_LARGE,
    OUT_OF_ORDER_SEQUENCE,
    REQUEST_TIMED_OUT,
    MockKafka,
    mock_kafka,
)

RECORD = OutgoingRecord("payments.status", b"key", b"value", (("name", b"value"),))
PATIENCE_SECONDS = 30


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with mock_kafka() as cluster:
        yield cluster


@pytest.fixture
async def producer(kafka: MockKafka) -> AsyncIterator[KafkaProducer]:
    producer = KafkaProducer(kafka.bootstrap, client_id="test")
    yield producer
    await producer.close()


async def give_up(kafka: MockKafka, producer: KafkaProducer) -> list[BaseException | None]:
    """Let the log forget what it had acknowledged, and publish; return what the publishers were told."""
    await producer.publish(RECORD)
    kafka.refuse_next_write(OUT_OF_ORDER_SEQUENCE)
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await asyncio.gather(*(producer.publish(RECORD) for _ in range(3)), return_exceptions=True)


async def test_one_that_the_library_gives_up_answers_everybody_and_says_so(
    kafka: MockKafka, producer: KafkaProducer
) -> None:
    """A log that was truncated behind a producer ends it for good; who waits for its report must not wait for ever."""
    told = await give_up(kafka, producer)

    assert [type(each) for each in told] == [PublishFailed] * 3
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(ProducerEnded, match="OUT_OF_ORDER_SEQUENCE_NUMBER"):
            await asyncio.shield(producer.ended)


async def test_after_its_end_it_refuses_at_once_is_not_reachable_and_closes(
    kafka: MockKafka, producer: KafkaProducer
) -> None:
    await give_up(kafka, producer)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.wait([producer.ended])

    assert not producer.is_alive
    assert not await producer.reachable()
    with pytest.raises(PublishFailed):
        await producer.publish(RECORD)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await producer.close()


async def test_another_one_publishes_where_the_first_was_given_up(kafka: MockKafka, producer: KafkaProducer) -> None:
    """The relay makes itself another one, the other processes begin anew."""
    await give_up(kafka, producer)

    successor = KafkaProducer(kafka.bootstrap, client_id="test")

    async with asyncio.timeout(PATIENCE_SECONDS):
        await successor.publish(RECORD)
    await successor.close()


async def test_one_that_is_closed_has_ended_without_an_error(kafka: MockKafka, producer: KafkaProducer) -> None:
    await producer.publish(RECORD)
    assert await producer.reachable()

    await producer.close()

    assert producer.ended.result() is None


async def test_a_record_that_is_waited_for_while_it_closes_is_answered() -> None:
    producer = KafkaProducer("127.0.0.1:1", client_id="test")
    waiting = asyncio.ensure_future(producer.publish(RECORD))
    await asyncio.sleep(0)
    producer.purge()

    await producer.close()

    with pytest.raises(PublishFailed):
        await waiting


async def test_a_record_larger_than_its_topic_is_refused_before_it_is_sent(producer: KafkaProducer) -> None:
    value = b"x" * topics()[RECORD.topic].max_message_bytes

    with pytest.raises(RecordTooLarge, match=RECORD.topic):
        await producer.publish(OutgoingRecord(RECORD.topic, b"key", value))


async def test_a_record_that_the_broker_calls_too_large_is_so_for_ever(
    kafka: MockKafka, producer: KafkaProducer
) -> None:
    """A topic may be declared larger than it is; the record is not taken for one that an outage holds up."""
    kafka.refuse_next_write(MESSAGE_TOO_LARGE)

    with pytest.raises(RecordTooLarge):
        await producer.publish(RECORD)


async def test_who_is_told_that_a_record_is_written_finds_it_in_the_log() -> None:
    """The leader gives up on the first record and moves; the new one does not know the producer and takes the second.

    The library then reports the first as delivered, too. On real brokers an order was lost like that after its 202.
    """
    with mock_kafka(brokers=2) as kafka:
        kafka.create(RECORD.topic, 1)
        kafka.lead(RECORD.topic, 0, 1)
        producer = KafkaProducer(
            kafka.bootstrap, client_id="test", overrides={"topic.metadata.refresh.interval.ms": 50}
        )
        assert await producer.reachable()
        kafka.refuse_next_write(REQUEST_TIMED_OUT)
        kafka.refuse_next_write(REQUEST_TIMED_OUT)
        publications = []
        for number in range(30):
            publications.append(asyncio.ensure_future(producer.publish(RECORD)))
            await asyncio.sleep(0.02)  # each is a request of its own
            if number == 3:
                kafka.lead(RECORD.topic, 0, 2)
        async with asyncio.timeout(PATIENCE_SECONDS):
            told = await asyncio.gather(*publications, return_exceptions=True)
        written = kafka.end(RECORD.topic, 0)
        await producer.close()

    assert told.count(None) <= written
    assert {type(each) for each in told if each is not None} <= {PublishFailed}
