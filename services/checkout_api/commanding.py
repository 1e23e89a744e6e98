"""Commands into the log. 503 means not known, never not done: the same request again is the same command."""

from __future__ import annotations

import structlog

from payonce.codec import outgoing
from payonce.domain.commands import Command
from payonce.ports import PublishFailed
from services.checkout_api.dependencies import SOURCE, Dependencies
from services.checkout_api.problems import unavailable
from services.checkout_api.publishing import publish_within
from services.checkout_api.tracing import trace_headers

log = structlog.get_logger()


async def publish_command(parts: Dependencies, command: Command, traceparent: str | None) -> None:
    """Return once the command is in the log. Raises Problem(503)."""
    record = outgoing(command, at=parts.clock.now(), source=SOURCE, headers=trace_headers(traceparent))
    try:
        await publish_within(parts.producer, record, parts.publish_seconds)
    except PublishFailed as error:
        log.warning("command_not_published", type=type(command).__name__, order_id=command.order_id, error=str(error))
        raise unavailable("the log") from error
