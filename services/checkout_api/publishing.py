"""Publishing within a request: the caller hears of it only when the log has it, and never waits for ever."""

from __future__ import annotations

import asyncio

from payonce.ports import LogProducer, OutgoingRecord, PublishFailed

#: An HTTP request waits at most this long for its delivery report; the record may still arrive after that.
PUBLISH_SECONDS = 8.0


async def publish_within(producer: LogProducer, record: OutgoingRecord, seconds: float) -> None:
    """Return once the log has the record. Raises PublishFailed when it is not known to; sending again is harmless.

    The publication itself is shielded: giving up waiting neither withdraws the record nor hides its report.
    """
    publication = asyncio.ensure_future(producer.publish(record))
    done, _ = await asyncio.wait((publication,), timeout=seconds)
    if not done:
        publication.add_done_callback(_seen)
        raise PublishFailed(f"no delivery report within {seconds} s")
    publication.result()


def _seen(publication: asyncio.Future[None]) -> None:
    if not publication.cancelled():
        publication.exception()
