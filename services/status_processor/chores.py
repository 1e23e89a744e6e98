"""What is done from time to time beside the fold: waiting events, months, lag and partitions that stand still."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from payonce.ports import Clock, PublishFailed, StoreUnavailable

log = structlog.get_logger()

SWEEP_SECONDS = 30.0
MONTHS_SECONDS = 6 * 3600.0
#: Two months are made before they begin, so that a month of trouble goes unnoticed by the timeline.
MONTHS_AHEAD = 2
LOOK_SECONDS = 5.0
_AGAIN_SECONDS = 5.0


async def every(seconds: float, chore: Callable[[], Awaitable[object]], clock: Clock) -> None:
    """Do the chore for ever, at once and then at that distance; while something is away, again after 5 s.

    Any other error leaves it.
    """
    while True:
        await clock.sleep(seconds if await run_once(chore) else min(seconds, _AGAIN_SECONDS))


async def run_once(chore: Callable[[], Awaitable[object]]) -> bool:
    """Do the chore; return False if PostgreSQL or Kafka was away."""
    try:
        await chore()
    except (StoreUnavailable, PublishFailed) as error:
        log.warning("a chore waits", error=str(error))
        return False
    return True
