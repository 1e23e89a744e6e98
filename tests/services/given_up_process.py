"""`python -m tests.services.given_up_process SERVICE`: a service whose producer the Kafka library gives up.

The service runs as it always does and ends with its own code; what it leaves open goes with this process. It meets the
library's own mock cluster, which has lost what it had just acknowledged, as after an unclean election.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from typing import Any

from payonce.adapters.kafka.producer import KafkaProducer
from payonce.catalog import topics
from payonce.ports import OutgoingRecord, PublishFailed
from tests.fakes.mock_kafka import OUT_OF_ORDER_SEQUENCE, MockKafka, mock_kafka

RECORD = OutgoingRecord("payments.status", b"key", b"value")


def main(service: str) -> int:
    """Run the service with the environment's settings; return its exit code."""
    module = importlib.import_module(f"services.{service}.__main__")
    with mock_kafka() as kafka:
        for topic in topics().values():
            kafka.create(topic.name, topic.partitions)
        os.environ["PAYONCE_KAFKA_BOOTSTRAP_SERVERS"] = kafka.bootstrap
        module.KafkaProducer = _giving_up(kafka)  # type: ignore[attr-defined]
        return int(module.main())


def _giving_up(kafka: MockKafka) -> type[KafkaProducer]:
    class GivenUp(KafkaProducer):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._giving_up = asyncio.ensure_future(self._give_up())

        async def _give_up(self) -> None:
            await self.publish(RECORD)
            kafka.refuse_next_write(OUT_OF_ORDER_SEQUENCE)
            try:
                await self.publish(RECORD)
            except PublishFailed:
                sys.stdout.write("given up\n")
                sys.stdout.flush()

    return GivenUp


if __name__ == "__main__":
    name = sys.argv.pop()  # the service reads the arguments, too
    os._exit(main(name))
