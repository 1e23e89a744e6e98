"""librdkafka's own mock cluster: a broker on a free port of this machine that refuses what it is told to.

The library's Python binding does not offer these functions, so they are called through the library that it has loaded.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import confluent_kafka

#: Of the Kafka protocol: a Produce request, and what a broker answers that has lost what it had acknowledged.
_PRODUCE = 0
OUT_OF_ORDER_SEQUENCE = 45
MESSAGE_TOO_LARGE = 10
REQUEST_TIMED_OUT = 7


class MockKafka:
    """One broker, or a few, that make topics as they are named."""

    def __init__(self, cluster: int) -> None:
        self._cluster = cluster
        self.bootstrap = str(_library().rd_kafka_mock_cluster_bootstraps(cluster).decode())

    def refuse_next_write(self, code: int) -> None:
        """Answer the next Produce request with an error of the protocol, and write nothing of it."""
        _library().rd_kafka_mock_push_request_errors_array(self._cluster, _PRODUCE, 1, (ctypes.c_int * 1)(code))

    def create(self, topic: str, partitions: int) -> None:
        """Make a topic."""
        _library().rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Make a broker (1, 2, ...) the leader of a partition."""
        _library().rd_kafka_mock_partition_set_leader(self._cluster, topic.encode(), partition, broker)

    def end(self, topic: str, partition: int) -> int:
        """Return how many records a partition has."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": "test"})
        _, end = consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, partition), timeout=20)
        consumer.close()
        return int(end)


@contextmanager
def mock_kafka(brokers: int = 1) -> Iterator[MockKafka]:
    """A mock cluster for as long as the block runs."""
    library = _library()
    message = ctypes.create_string_buffer(512)
    handle = library.rd_kafka_new(0, None, message, len(message))
    assert handle, message.value
    cluster = library.rd_kafka_mock_cluster_new(handle, brokers)
    assert cluster
    try:
        yield MockKafka(cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(handle)


@cache
def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    (path,) = folder.glob("librdkafka*.so*")
    library = ctypes.CDLL(str(path))
    pointer = ctypes.c_void_p
    library.rd_kafka_new.restype = pointer
    library.rd_kafka_new.argtypes = [ctypes.c_int, pointer, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_destroy.argtypes = [pointer]
    library.rd_kafka_mock_cluster_new.restype = pointer
    library.rd_kafka_mock_cluster_new.argtypes = [pointer, ctypes.c_int]
    library.rd_kafka_mock_cluster_destroy.argtypes = [pointer]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [pointer]
    library.rd_kafka_mock_topic_create.argtypes = [pointer, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    library.rd_kafka_mock_partition_set_leader.argtypes = [pointer, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]
    library.rd_kafka_mock_push_request_errors_array.argtypes = [
        pointer,
        ctypes.c_int16,
        ctypes.c_size_t,
        ctypes.POINTER(ctypes.c_int),
    ]
    return library
