"""`python -m tests.services.passing_over_process`: a status_processor whose Kafka client passes a record over.

In each partition that has a record to hand over, it begins with the one behind that.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from faust.types import TP

from services.status_processor.__main__ import main
from services.status_processor.delivery import EagerConsumer


def pass_over() -> None:
    """Let every consumer of this process seek one record too far."""
    seek = EagerConsumer.seek_to_committed

    async def too_far(self: EagerConsumer) -> Mapping[TP, int]:
        starts = await seek(self)
        ends = await self.highwaters(*starts)
        await self.seek_wait({tp: start + 1 for tp, start in starts.items() if start + 1 < ends[tp]})
        return starts

    setattr(EagerConsumer, "seek_to_committed", too_far)  # noqa: B010  (a method that is replaced)


if __name__ == "__main__":
    pass_over()
    sys.exit(main())
