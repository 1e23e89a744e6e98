"""A member of a consumer group in a thread of its own, for a subscriber in an asyncio loop.

The thread only reads, pauses, commits and passes rebalances on. It never dies and never lives on in silence: `ended`
resolves when it has left the group, or carries the reason why it cannot go on.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from payonce.adapters.kafka.consumer_config import ENDING_CODES
from payonce.ports import Record, TopicPartition
from payonce.subscription import Subscriber
from payonce.telemetry import commit_failures_total

T = TypeVar("T")

_POLL_SECONDS = 0.1
_BATCH = 500
#: What a rebalance waits for the loop: longer than a subscriber's own bound, far below max.poll.interval.ms (300 s).
_REBALANCE_SECONDS = 12.0
_COMMITTED_SECONDS = 10.0
_COMMITTED_TRIES = 3


class ConsumerEnded(Exception):
    """The group has thrown this member out for good, or the cluster refuses it: the process must end."""


class GroupConsumer:
    """Implements subscription.GroupMember over a confluent Consumer. Made inside the subscriber's loop."""

    def __init__(
        self,
        config: Mapping[str, str | int | bool],
        topics: Sequence[str],
        subscriber: Subscriber,
        monotonic: Callable[[], float],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._topics = list(topics)
        self._subscriber = subscriber
        self._monotonic = monotonic
        self._consumer = Consumer({**config, "on_commit": self._on_commit})
        self._opens: deque[tuple[TopicPartition, int | None]] = deque()
        self._wanted_pauses: frozenset[TopicPartition] = frozenset()
        self._commits: dict[TopicPartition, int] = {}
        self._commits_lock = threading.Lock()
        self._assigned: set[TopicPartition] = set()  # from here on: the thread's own
        self._unopened: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self._last_poll_at = float("-inf")
        self._is_abandoned = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-consumer", daemon=True)

    def start(self) -> None:
        """Join the group."""
        self._thread.start()

    async def stop(self) -> None:
        """Commit, leave the group, end the thread. Idempotent; errors are in `ended`."""
        self._stopping.set()
        await asyncio.wait([self.ended])

    def last_poll_at(self) -> float:
        """Return when the thread last came back from the log, on the monotonic clock that was handed in."""
        return self._last_poll_at

    def open(self, partition: TopicPartition, offset: int | None) -> None:
        self._opens.append((partition, offset))

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        self._wanted_pauses = partitions

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        with self._commits_lock:
            self._commits.update(offsets)

    # -- the thread

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._consumer.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            while not self._stopping.is_set():
                self._run_once()
            self._commit_now(self._take_commits())
            self._consumer.close()
        except BaseException as caught:  # noqa: BLE001  (nothing may end this thread in silence)
            error = caught
        self._loop.call_soon_threadsafe(self._resolve, error)
        if error is not None:
            self._abandon()

    def _abandon(self) -> None:
        """Leave the group without a word to the subscriber, which is told by `ended`: others need not wait for us."""
        self._is_abandoned = True
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def _resolve(self, error: BaseException | None) -> None:
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    def _run_once(self) -> None:
        """One bounded round (thread): do what the loop asked for, read, hand over."""
        self._open_partitions()
        self._apply_pauses()
        self._commit_soon(self._take_commits())
        messages = self._read()
        self._last_poll_at = self._monotonic()
        records = [_record(message) for message in messages if not _is_error(message)]
        if records:
            self._loop.call_soon_threadsafe(self._subscriber.received, records)

    def _read(self) -> list[Message]:
        # consume() with a timeout would wait for a full batch; so wait for one, then take what is there.
        first = self._consumer.poll(_POLL_SECONDS)
        if first is None:
            return []
        rest: list[Message] = self._consumer.consume(_BATCH - 1, 0)
        return [first, *rest]

    def _open_partitions(self) -> None:
        while self._opens:
            partition, offset = self._opens[0]
            if partition in self._unopened:
                if offset is not None and not self._seeks(partition, offset):
                    return  # the partition is not set up yet: next round
                self._unopened.discard(partition)
            self._opens.popleft()

    def _seeks(self, partition: TopicPartition, offset: int) -> bool:
        try:
            self._consumer.seek(KafkaPartition(partition.topic, partition.partition, offset))
        except KafkaException as error:
            if error.args[0].code() != KafkaError._STATE:  # noqa: SLF001  (the library's public name for it)
                raise
            return False
        return True

    def _apply_pauses(self) -> None:
        wanted = (set(self._wanted_pauses) | self._unopened) & self._assigned
        if more := wanted - self._paused:
            self._consumer.pause(_kafka(more))
        if less := (self._paused - wanted) & self._assigned:
            self._consumer.resume(_kafka(less))
        self._paused = wanted

    # -- rebalances (thread, inside poll)

    def _on_assign(self, consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        committed = self._committed(partitions)
        consumer.incremental_assign(
            [KafkaPartition(p.topic, p.partition, OFFSET_INVALID if at is None else at) for p, at in committed.items()]
        )
        self._assigned |= committed.keys()
        self._unopened |= committed.keys()
        self._apply_pauses()  # new partitions arrive unpaused
        if committed:
            self._loop.call_soon_threadsafe(self._subscriber.assigned, committed)

    def _on_revoke(self, consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        if self._is_abandoned:
            return
        names = _names(partitions)
        offsets = dict(self._ask(self._subscriber.revoked(names)))
        self._drop(names)
        self._commit_now(offsets)
        consumer.incremental_unassign(partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        if self._is_abandoned:
            return
        names = _names(partitions)
        self._ask(self._subscriber.lost(names))
        self._drop(names)
        consumer.incremental_unassign(partitions)

    def _committed(self, partitions: list[KafkaPartition]) -> dict[TopicPartition, int | None]:
        if not partitions:
            return {}
        for tries_left in reversed(range(_COMMITTED_TRIES)):
            try:
                found = self._consumer.committed(partitions, timeout=_COMMITTED_SECONDS)
            except KafkaException as error:
                if not tries_left:
                    raise ConsumerEnded(f"no committed offsets: {error.args[0]}") from error
            else:
                return {TopicPartition(p.topic, p.partition): p.offset if p.offset >= 0 else None for p in found}
        raise AssertionError("unreachable: the last try raises")

    def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(question, self._loop).result(_REBALANCE_SECONDS)

    def _drop(self, partitions: Sequence[TopicPartition]) -> None:
        # The loop has forgotten them, so what it asked for them before is void.
        gone = set(partitions)
        for _ in range(len(self._opens)):  # in place: the loop may append at any moment
            request = self._opens.popleft()
            if request[0] not in gone:
                self._opens.append(request)
        self._assigned -= gone
        self._unopened -= gone
        self._paused -= gone
        with self._commits_lock:
            for partition in gone:
                self._commits.pop(partition, None)

    # -- commits, in the thread

    def _take_commits(self) -> dict[TopicPartition, int]:
        with self._commits_lock:
            commits, self._commits = self._commits, {}
        return {partition: offset for partition, offset in commits.items() if partition in self._assigned}

    def _commit_soon(self, offsets: Mapping[TopicPartition, int]) -> None:
        if offsets:
            self._consumer.commit(offsets=_kafka_offsets(offsets), asynchronous=True)

    def _commit_now(self, offsets: Mapping[TopicPartition, int]) -> None:
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=_kafka_offsets(offsets), asynchronous=False)
        except KafkaException as error:
            self._judge_commit(error.args[0])

    def _on_commit(self, error: KafkaError | None, partitions: list[KafkaPartition]) -> None:
        failed = [(p, p.error or error) for p in partitions if p.error or error]
        for partition, cause in failed:
            self._judge_commit(cause)
            name = TopicPartition(partition.topic, partition.partition)
            with self._commits_lock:
                self._commits.setdefault(name, partition.offset)  # a newer one counts already

    def _judge_commit(self, error: KafkaError) -> None:
        commit_failures_total.inc()
        if error.code() in ENDING_CODES:
            raise ConsumerEnded(f"commit: {error}")


def _is_error(message: Message) -> bool:
    """Return whether it is one of librdkafka's passing complaints; raise ConsumerEnded where it is a final one."""
    error = message.error()
    if error is not None and error.code() in ENDING_CODES:
        raise ConsumerEnded(str(error))
    return error is not None


def _record(message: Message) -> Record:
    return Record(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
        timestamp_ms=message.timestamp()[1],
    )


def _names(partitions: Sequence[KafkaPartition]) -> list[TopicPartition]:
    return [TopicPartition(partition.topic, partition.partition) for partition in partitions]


def _kafka(partitions: set[TopicPartition]) -> list[KafkaPartition]:
    return [KafkaPartition(name.topic, name.partition) for name in sorted(partitions)]


def _kafka_offsets(offsets: Mapping[TopicPartition, int]) -> list[KafkaPartition]:
    return [KafkaPartition(name.topic, name.partition, offset) for name, offset in sorted(offsets.items())]
