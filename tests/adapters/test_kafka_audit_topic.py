"""payments.ops read back from a real broker: page by page from an offset, whatever else lies there."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from payonce.adapters.kafka import audit_topic
from payonce.adapters.kafka.audit_topic import KafkaAuditTopic
from payonce.audit import TOPIC, audit_record, chained
from payonce.ports import PublishFailed
from payonce.ports.ops import Action, AnchoredPage, ChainedAction

pytestmark = pytest.mark.stack
PATIENCE_SECONDS = 30.0


def published(bootstrap: str, count: int) -> list[ChainedAction]:
    """Publish as many entries, with garbage after the first."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})  # exact offsets are asked for
    entries: list[ChainedAction] = []
    for number in range(count):
        action = Action(datetime(2026, 1, 2, tzinfo=UTC), "olga", "discard", f"dl_{number}", "spam")
        entries.append(chained(action, entries[-1] if entries else None))
        record = audit_record(entries[-1])
        producer.produce(TOPIC, record.value, record.key)
        if number == 0:
            producer.produce(TOPIC, b"[no entry", b"?")
    assert producer.flush(PATIENCE_SECONDS) == 0
    return entries


async def answered(topic: KafkaAuditTopic, offset: int) -> AnchoredPage:
    """Ask until the brokers have agreed on who leads a topic that is new, or that a starved broker has led."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await topic.since(offset)
        except PublishFailed:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(0.1)


async def test_the_topic_is_read_from_an_offset_page_by_page(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = KafkaAuditTopic(bootstrap)
    begin = (await answered(topic, 10**9)).end
    entries = published(bootstrap, 4)
    monkeypatch.setattr(audit_topic, "_PAGE", 3)

    first = await answered(topic, begin)
    second = await answered(topic, first.next_offset)
    nothing = await answered(topic, second.end)

    assert (list(first.entries), first.next_offset, first.end) == (entries[:2], begin + 3, begin + 5)
    assert (list(second.entries), second.next_offset) == (entries[2:], begin + 5)
    assert (nothing.entries, nothing.next_offset) == ((), begin + 5)


async def test_beyond_its_end_a_topic_is_read_from_its_beginning(bootstrap: str) -> None:
    """It was made anew since the offset was written down."""
    entries = published(bootstrap, 1)
    topic = KafkaAuditTopic(bootstrap)

    page = await answered(topic, (await answered(topic, 0)).end + 1)

    assert page.next_offset <= page.end
    assert entries[0] in page.entries


async def test_brokers_that_are_away_are_a_reason_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payonce.adapters.kafka.reader._REQUEST_SECONDS", 1.0)
    with pytest.raises(PublishFailed):
        await KafkaAuditTopic("127.0.0.1:1").since(0)
