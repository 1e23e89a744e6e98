"""payments.ops as ops_console reads it back: what a restored database has forgotten of the audit chain stands there."""

from __future__ import annotations

import asyncio

import structlog

from payonce.adapters.kafka.reader import LogAway, LogReader
from payonce.audit import TOPIC, entry_of
from payonce.ports import PublishFailed, Record, TopicPartition
from payonce.ports.ops import AnchoredPage, ChainedAction

_PLACE = TopicPartition(TOPIC, 0)
_PAGE = 1_000
log = structlog.get_logger()


class KafkaAuditTopic:
    """Implements ports.ops.AuditTopic. Each call opens its own connection: it is needed every half minute."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers

    async def since(self, offset: int) -> AnchoredPage:
        return await asyncio.to_thread(self._since, offset)

    def _since(self, offset: int) -> AnchoredPage:
        try:
            with LogReader(self._bootstrap_servers, client_id="ops_console.audit") as reader:
                start, end = reader.bounds([TOPIC])[_PLACE]
                first = max(start, offset if offset <= end else start)
                last = min(first + _PAGE, end)
                batches = reader.read({_PLACE: first}, {_PLACE: last})
                records = [record for batch in batches for record in batch]
        except LogAway as error:
            raise PublishFailed(f"{TOPIC} cannot be read: {error}") from error
        return AnchoredPage(tuple(entry for entry in map(_entry, records) if entry is not None), last, end)


def _entry(record: Record) -> ChainedAction | None:
    """Return the entry; None for anything else, which `payonce verify audit` names."""
    try:
        return entry_of(record.value or b"")
    except (KeyError, TypeError, ValueError) as error:
        log.warning("no_audit_entry", offset=record.offset, error=str(error))
        return None
