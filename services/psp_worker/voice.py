"""What the worker says: outcomes on payments.tokens, dead letters beside payments.commands, until acknowledged."""

from __future__ import annotations

from payonce.codec import outgoing
from payonce.dead_letters import Reason, dead_letter
from payonce.domain.events import TokenEvent
from payonce.ports import Clock, Headers, LogProducer, Record
from payonce.telemetry import dead_letters_total, registration_outcomes_total
from services.psp_worker.patience import Patience

#: The consumer group, the name in dead letters, and the source of our events.
PROCESS = "psp_worker"


class Voice:
    """Publishes; returns only when the record is durable. Saying a thing twice is harmless."""

    def __init__(self, log: LogProducer, clock: Clock, patience: Patience) -> None:
        self._log = log
        self._clock = clock
        self._patience = patience

    async def announce(self, outcome: TokenEvent, *, cause: Record) -> None:
        """Publish the outcome of the command in `cause`, within its trace."""
        record = outgoing(outcome, at=self._clock.now(), source=PROCESS, headers=_trace(cause))
        await self._patience.with_log(lambda: self._log.publish(record))
        registration_outcomes_total.labels(type(outcome).__name__).inc()

    async def set_aside(self, record: Record, *, reason: Reason, error: str) -> None:
        """Publish the record's dead letter."""
        letter = dead_letter(record, reason=reason, error=error, group=PROCESS, at=self._clock.now())
        await self._patience.with_log(lambda: self._log.publish(letter))
        dead_letters_total.labels(PROCESS, record.topic, reason).inc()


def _trace(cause: Record) -> Headers:
    return tuple((name, value) for name, value in cause.headers if name in {"traceparent", "tracestate"})
