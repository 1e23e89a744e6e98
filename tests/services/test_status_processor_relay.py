"""The outbox relay on fakes: order, failures, and who is the one relay."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest

from payonce.catalog import schema_files, topics
from payonce.codec import decode_body, encode_body, outgoing
from payonce.domain.events import OrderStatusChanged
from payonce.ports import OutgoingRecord, PublishFailed, StoreUnavailable
from payonce.record_size import size_of
from services.status_processor.relay import Relay
from tests.fakes.clock import LoopClock, simulated
from tests.fakes.outbox import FakeOutbox, OutboxTable


class Topic:
    """payments.status, and the producers that write it."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []
        self.failing: set[int] = set()
        self.producers: list[Producer] = []

    def producer(self) -> Producer:
        """Return a new producer."""
        self.producers.append(Producer(self))
        return self.producers[-1]

    def versions(self) -> list[int]:
        """Return the versions in the order of the log."""
        messages = [decode_body("OrderStatusChanged", record.value or b"") for record in self.records]
        return [message.version for message in messages if isinstance(message, OrderStatusChanged)]


class Producer:
    """Implements RelayProducer: fails the versions that the topic says, once each."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self.purged = False
        self.closed = False

    async def publish(self, record: OutgoingRecord) -> None:
        assert not self.closed
        await asyncio.sleep(0)
        message = decode_body("OrderStatusChanged", record.value or b"")
        assert isinstance(message, OrderStatusChanged)
        if message.version in self._topic.failing:
            self._topic.failing.remove(message.version)
            raise PublishFailed("no report")
        self._topic.records.append(record)

    def purge(self) -> None:
        self.purged = True

    async def close(self) -> None:
        self.closed = True


def body(version: int) -> bytes:
    return encode_body(
        OrderStatusChanged(
            order_id="ord_" + "a" * 26,
            version=version,
            client_id="shop",
            reference="r",
            payment_type="SALE",
            payment_method="APM",
            psp="stripe",
            payment_order_status="paid",
            attempt=1,
            amount=5,
            currency="eur",
            amount_paid=5,
            amount_refunded=0,
            amount_disputed=0,
            flags=(),
            changed_at=1_800_000_000,
        )
    )


def table_of(*versions: int) -> OutboxTable:
    table = OutboxTable()
    for version in versions:
        table.add("ord_" + "a" * 26, body(version))
    return table


async def test_rows_are_published_in_order_and_deleted() -> None:
    table, topic = table_of(1, 2, 3), Topic()
    relay = Relay(FakeOutbox(table), topic.producer, LoopClock())

    assert await relay.run_once() == 3

    assert topic.versions() == [1, 2, 3]
    assert table.rows == {}
    assert topic.records[0].topic == "payments.status"
    assert topic.records[0].key == b"ord_" + b"a" * 26
    assert dict(topic.records[0].headers)["ce_type"] == b"payonce.OrderStatusChanged.v1"


async def test_after_a_failed_report_it_begins_again_at_the_lowest_id_with_a_new_producer() -> None:
    """Nothing of the batch is deleted, and the producer that might still deliver is given up."""
    table, topic = table_of(1, 2, 3), Topic()
    topic.failing = {2}
    relay = Relay(FakeOutbox(table), topic.producer, LoopClock())

    with pytest.raises(PublishFailed):
        await relay.run_once()
    assert len(table.rows) == 3
    await relay.run_once()

    assert topic.versions() == [1, 3, 1, 2, 3]
    assert [producer.purged and producer.closed for producer in topic.producers] == [True, False]


async def test_after_a_lost_lock_it_begins_again() -> None:
    table, topic = table_of(1), Topic()
    relay = Relay(FakeOutbox(table), topic.producer, LoopClock())
    await relay.run_once()
    table.add("ord_" + "a" * 26, body(2))
    table.break_connections()

    with pytest.raises(StoreUnavailable):
        await relay.run_once()
    await relay.run_once()

    assert topic.versions() == [1, 2]
    assert topic.producers[0].closed


async def test_only_one_of_two_relays_works_and_the_other_takes_over() -> None:
    table, topic = table_of(1), Topic()
    first_outbox = FakeOutbox(table)
    first, second = (Relay(each, topic.producer, LoopClock()) for each in (first_outbox, FakeOutbox(table)))
    await first.run_once()
    table.add("ord_" + "a" * 26, body(2))

    assert await second.run_once() == 0
    assert len(table.rows) == 1
    first_outbox.close()
    assert await second.run_once() == 1


def test_it_runs_through_an_outage_and_publishes_what_came_meanwhile() -> None:
    async def scenario() -> list[int]:
        table, topic = table_of(1), Topic()
        outbox = FakeOutbox(table)
        relay = Relay(outbox, topic.producer, LoopClock())
        stopping = asyncio.Event()
        running = asyncio.create_task(relay.run(stopping))
        await asyncio.sleep(0.5)
        outbox.unavailable = True
        table.add("ord_" + "a" * 26, body(2))
        await asyncio.sleep(10)
        assert topic.versions() == [1]
        outbox.unavailable = False
        await asyncio.sleep(2)
        stopping.set()
        await running
        assert all(producer.closed for producer in topic.producers)
        return topic.versions()

    assert simulated(scenario()) == [1, 2]


def test_a_wake_up_does_not_wait_for_the_poll() -> None:
    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        table, topic = table_of(), Topic()
        relay = Relay(FakeOutbox(table), topic.producer, LoopClock())
        stopping = asyncio.Event()
        running = asyncio.create_task(relay.run(stopping))
        await asyncio.sleep(0.05)
        table.add("ord_" + "a" * 26, body(1))
        relay.wake()
        while not topic.records:
            await asyncio.sleep(0.001)
        took = loop.time() - 0.05
        stopping.set()
        await running
        return took

    assert simulated(scenario()) < 0.01


def test_the_largest_status_there_can_be_fits_its_topic() -> None:
    """It tells sums, not lists: an order with hundreds of refunds and invoices is no larger, and names are bounded."""
    terms = orjson.loads(schema_files()["RegisterPayment", 1].read_bytes())["properties"]["terms"]["properties"]
    client_id, reference = ("\U0001f4b3" * terms[name]["maxLength"] for name in ("client_id", "reference"))
    flags = tuple("x" * 100 for _ in range(100))
    message = decode_body("OrderStatusChanged", body(1))
    assert isinstance(message, OrderStatusChanged)

    largest = replace(message, client_id=client_id, reference=reference, flags=flags, failure_reason="x" * 4_000)

    record = outgoing(largest, at=0, source="status_processor")
    assert size_of(record) < topics()["payments.status"].max_message_bytes / 10
