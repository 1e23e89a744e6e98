"""`python -m tests.services.strange_client_process BEHAVIOUR`: a status_processor with a Kafka client of that kind.

"passes_over": in each partition that has a record to hand over, it begins with the one behind that.
"never_begins": at an assignment the group's coordinator does not answer.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from payonce.ports import TopicPartition
from services.status_processor import delivery
from services.status_processor.__main__ import main
from services.status_processor.delivery import EagerConsumer

_seek = EagerConsumer.seek_to_committed


async def _too_far(self: EagerConsumer) -> Mapping[TP, int]:
    starts = await _seek(self)
    ends = self.transport.hooks._bounds.ends(TopicPartition(tp.topic, tp.partition) for tp in starts)
    beyond = {tp: start + 1 for tp, start in starts.items()}
    await self.seek_wait({tp: at for tp, at in beyond.items() if at < ends[TopicPartition(tp.topic, tp.partition)]})
    return starts


async def _no_answer(self: EagerConsumer) -> Mapping[TP, int]:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def _behave(behaviour: str) -> None:
    if behaviour == "passes_over":
        _replace(EagerConsumer, _too_far)
    else:
        _replace(Consumer, _no_answer)
        delivery._SEEK_SECONDS = 1.0


def _replace(kind: type, seek: Callable[[EagerConsumer], Awaitable[Mapping[TP, int]]]) -> None:
    setattr(kind, "seek_to_committed", seek)  # noqa: B010  (a method that is replaced)


if __name__ == "__main__":
    _behave(sys.argv.pop())  # the service has no arguments
    sys.exit(main())
