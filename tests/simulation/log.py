"""Kafka's log in memory: topics, partitions, records for ever; and producers whose records may be late or lost.

A producer's records of one partition stay in order unless one of them times out, as an idempotent producer's do.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Callable, Iterator

from payonce.audit import TOPIC as AUDIT
from payonce.audit import entry_of
from payonce.catalog import topics
from payonce.ports import OutgoingRecord, PublishFailed, Record, TopicPartition
from payonce.ports.ops import AnchoredPage
from payonce.record_size import require_fit
from tests.simulation.network import Network
from tests.simulation.scheduler import Incarnation
from tests.simulation.versions import as_an_older_version

PARTITIONS = 3
#: Few, so that a restore takes several.
_AUDIT_PAGE = 3
_DELIVERY_SECONDS = 60.0
_RETRY_SECONDS = 0.25


class Log:
    """The topics. `listeners` hear of every record, after it is written."""

    def __init__(self, network: Network, epoch: float) -> None:
        self.partitions: dict[TopicPartition, list[Record]] = {}
        self.listeners: list[Callable[[Record], None]] = []
        self.is_up = True
        self._network = network
        self._epoch = epoch

    def append(self, record: OutgoingRecord) -> Record:
        """Write a record at the end of its key's partition."""
        number = zlib.crc32(record.key or b"") % min(PARTITIONS, topics()[record.topic].partitions)
        place = TopicPartition(record.topic, number)
        records = self.partitions.setdefault(place, [])
        at_ms = int((self._epoch + self._network.loop.time()) * 1000)
        written = Record(record.topic, number, len(records), record.key, record.value, record.headers, at_ms)
        records.append(written)
        for listener in self.listeners:
            listener(written)
        return written

    def end(self, place: TopicPartition) -> int:
        """Return the next offset of a partition."""
        return len(self.partitions.get(place, ()))

    def read(self, place: TopicPartition, offset: int, most: int) -> list[Record]:
        """Return records from an offset on."""
        return self.partitions.get(place, [])[offset : offset + most]

    def topic(self, name: str) -> Iterator[Record]:
        """Yield every record of a topic, by partition and offset."""
        for place in sorted(self.partitions):
            if place.topic == name:
                yield from self.partitions[place]


class SimulatedAuditTopic:
    """Implements ports.ops.AuditTopic for one incarnation, in small pages."""

    def __init__(self, log: Log, network: Network, owner: Incarnation) -> None:
        self._log = log
        self._network = network
        self._owner = owner

    async def since(self, offset: int) -> AnchoredPage:
        return await self._network.call(self._owner, lambda: self._page(offset))

    def _page(self, offset: int) -> AnchoredPage:
        if not self._log.is_up:
            raise PublishFailed("no broker answers")
        place = TopicPartition(AUDIT, 0)
        end = self._log.end(place)
        first = offset if offset <= end else 0
        records = self._log.read(place, first, _AUDIT_PAGE)
        return AnchoredPage(tuple(entry_of(each.value or b"") for each in records), first + len(records), end)


class Unreliable:
    """How badly publishing goes: probabilities of a lost record and of a lost report, for as long as they are set."""

    def __init__(self) -> None:
        self.lost = 0.0
        self.unreported = 0.0
        self.vanishing = 0.0  # of the worker's answers, which are reported as written, and are not
        self.older: dict[str, None] = {}  # processes that still write as the version before
        self.on_vanished: Callable[[OutgoingRecord], object] = lambda _: None


def _may_vanish(record: OutgoingRecord) -> bool:
    """Return whether it is an answer that keeps its order waiting: whoever lost its disk had confirmed it."""
    return dict(record.headers).get("ce_type") in {b"payonce.TokenIssued.v1", b"payonce.RegistrationFailed.v1"}


class SimulatedProducer:
    """Implements LogProducer (and the relay's) for one incarnation."""

    def __init__(self, log: Log, network: Network, rng: random.Random, trouble: Unreliable, owner: Incarnation) -> None:
        self._log = log
        self._network = network
        self._rng = rng
        self._trouble = trouble
        self._owner = owner
        self._last: dict[tuple[str, bytes | None], float] = {}
        self._purged = False

    async def publish(self, record: OutgoingRecord) -> None:
        if self._owner.name in self._trouble.older:
            record = as_an_older_version(record)
        require_fit(record)
        loop, rng = self._network.loop, self._rng
        began = loop.time()
        fate = rng.random()
        if fate < self._trouble.lost:
            await self._network.call(self._owner, lambda: None, out=rng.uniform(0.1, 3.0))
            raise PublishFailed("no delivery report")
        if fate < self._trouble.lost + self._trouble.unreported:
            loop.later(rng.uniform(0.01, 30.0), self._write, record)
            await self._network.call(self._owner, lambda: None, out=rng.uniform(0.1, 3.0))
            raise PublishFailed("no delivery report")
        if fate < self._trouble.vanishing and _may_vanish(record):
            await self._network.call(self._owner, lambda: self._trouble.on_vanished(record))
            return
        while True:
            name = (record.topic, record.key)
            at = max(loop.time() + self._network.leg(), self._last.get(name, 0.0) + 1e-6)
            self._last[name] = at
            if await self._network.call(self._owner, lambda: self._write(record), out=at - loop.time()):
                return
            if self._purged or loop.time() - began > _DELIVERY_SECONDS:
                raise PublishFailed("no delivery report in time")
            await asyncio.sleep(_RETRY_SECONDS)

    def purge(self) -> None:
        """Forget what was not delivered. What is on its way may have been sent already."""
        self._purged = self._rng.random() < 0.5

    async def close(self) -> None:
        """Nothing is left to wait for."""

    async def reachable(self, timeout_seconds: float) -> bool:
        """Return whether the log is there."""
        return self._log.is_up

    def _write(self, record: OutgoingRecord) -> bool:
        if self._purged or not self._log.is_up:
            return False
        self._log.append(record)
        return True
