"""The demo's counts while a broker is away for a moment."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from payonce.catalog import topics
from sandbox.demo import topic_counts
from sandbox.demo.topic_counts import TopicCounts


class Starved:
    """A consumer whose broker cannot tell the first ends that are asked for; then each partition holds 3 records."""

    failures = 0

    def __init__(self, _: dict[str, Any]) -> None:
        self._left = self.failures

    def get_watermark_offsets(self, _: TopicPartition, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        if self._left:
            self._left -= 1
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
        return 4, 7


@pytest.fixture(autouse=True)
def _starved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_counts, "Consumer", Starved)
    monkeypatch.setattr(topic_counts, "_PAUSE_SECONDS", 0.0)


def test_a_broker_that_cannot_tell_for_a_moment_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Starved, "failures", 3)

    assert TopicCounts("").read() == {name: 3 * topic.partitions for name, topic in topics().items()}


def test_a_broker_that_stays_away_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Starved, "failures", 10**9)

    with pytest.raises(KafkaException):
        TopicCounts("", patience_seconds=-1).read()
