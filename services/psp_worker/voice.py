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
#: What the W3C has everyone pass on; who writes more must not make our answer larger than its topic takes.
_TRACE_BYTES = 512


class Voice:
    """Publishes; returns only when the record is durable. Saying a thing twice is harmless."""

    def __init__(self, log: LogProducer, clock: Clock, patience: Patience) -> None:
        self._log = log
        self._clock = clock
        self._patience = patience

    async def announce(self, outcome: TokenEvent, *, at: float, cause: Record) -> None:
        """Publish the outcome of a command, within the trace of `cause`.

        `at` (unix seconds) must be what every repetition says again, whatever causes it: the last try that the ledger
        has recorded, or the command's own time. The timeline knows an event by its id and its time.
        """
        record = outgoing(outcome, at=at, source=PROCESS, headers=_trace(cause))
        await self._patience.with_log(lambda: self._log.publish(record))
        registration_outcomes_total.labels(type(outcome).__name__).inc()

    async def set_aside(self, record: Record, *, reason: Reason, error: str) -> None:
        """Publish the record's dead letter."""
        letter = dead_letter(record, reason=reason, error=error, group=PROCESS, at=self._clock.now())
        await self._patience.with_log(lambda: self._log.publish(letter))
        dead_letters_total.labels(PROCESS, record.topic, reason).inc()


def _trace(cause: Record) -> Headers:
    traces = ((name, value) for name, value in cause.headers if name in {"traceparent", "tracestate"})
    return tuple((name, value) for name, value in traces if value and len(value) <= _TRACE_BYTES)
