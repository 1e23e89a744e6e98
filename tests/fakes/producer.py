"""A log that can be away: it keeps what was published, refuses it, or never reports."""

from __future__ import annotations

import asyncio
from typing import Literal

from payonce.ports import OutgoingRecord, PublishFailed
from payonce.record_size import require_fit


class FakeProducer:
    """Implements LogProducer and the checkout API's Broker."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []
        self.state: Literal["up", "refusing", "silent"] = "up"
        self.report = asyncio.Event()

    async def publish(self, record: OutgoingRecord) -> None:
        """Keep the record, unless the log is away. A silent log may still write the record once `report` is set."""
        require_fit(record)
        if self.state == "refusing":
            raise PublishFailed("refused")
        if self.state == "silent":
            await self.report.wait()
        self.records.append(record)

    async def reachable(self, timeout_seconds: float) -> bool:
        """Return whether the log is up."""
        return self.state == "up"
