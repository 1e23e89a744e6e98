"""The LogProducer port in memory, and records as a consumer would get them."""

from __future__ import annotations

from payonce.audit import TOPIC, entry_of
from payonce.codec import decode, outgoing
from payonce.domain.commands import Command
from payonce.ports import OutgoingRecord, PublishFailed, Record
from payonce.ports.ops import AnchoredPage
from payonce.record_size import require_fit


class MemoryAuditTopic:
    """Implements ports.ops.AuditTopic over what a MemoryLog has, in pages of `page` records."""

    def __init__(self, log: MemoryLog, page: int = 1_000) -> None:
        self._log = log
        self._page = page
        self.looks = 0

    async def since(self, offset: int) -> AnchoredPage:
        self.looks += 1
        records = self._log.on(TOPIC)
        first = offset if offset <= len(records) else 0
        last = min(first + self._page, len(records))
        return AnchoredPage(tuple(entry_of(each.value or b"") for each in records[first:last]), last, len(records))


class MemoryLog:
    """Keeps what was published; the next `failures` publications fail without being written."""

    def __init__(self) -> None:
        self.published: list[OutgoingRecord] = []
        self.failures = 0

    async def publish(self, record: OutgoingRecord) -> None:
        require_fit(record)
        if self.failures > 0:
            self.failures -= 1
            raise PublishFailed("no delivery report")
        self.published.append(record)

    def messages(self, topic: str) -> list[object]:
        """Return the messages on a topic, decoded."""
        return [decode(as_read(record)) for record in self.published if record.topic == topic]

    def on(self, topic: str) -> list[Record]:
        """Return the raw records on a topic."""
        return [as_read(record) for record in self.published if record.topic == topic]


def as_read(record: OutgoingRecord, *, partition: int = 0, offset: int = 0) -> Record:
    """Return the record as it would be read back."""
    return Record(record.topic, partition, offset, record.key, record.value, record.headers)


def command_record(command: Command, *, partition: int = 0, offset: int = 0) -> Record:
    """Return the command as psp_worker reads it."""
    return as_read(
        outgoing(command, at=float(command.issued_at), source="checkout_api"), partition=partition, offset=offset
    )
