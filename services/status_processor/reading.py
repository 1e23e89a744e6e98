"""From a record to what the fold needs to know of it. Pure: every record has an answer, none an exception."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from payonce.catalog import place_in_log
from payonce.codec import Undecodable, decode
from payonce.dead_letters import Reason, is_replay_for_other
from payonce.domain.belonging import may_wait
from payonce.domain.commands import Command
from payonce.domain.events import OrderStatusChanged, PspEvent, TokenEvent
from payonce.domain.order import ImpossibleEvent, contribution
from payonce.ports import Record

Folded = Command | TokenEvent | PspEvent


@dataclass(frozen=True, slots=True)
class Entry:
    """A message and what it contributes. `order_id` is None where only its PSP ids can tell the order."""

    record: Record
    event_type: str
    event_id: str
    occurred_at: int
    order_id: str | None
    references: Mapping[str, str | None]
    facts: Mapping[str, Any]
    reason: str | None
    may_wait: bool

    @property
    def position(self) -> tuple[str, int, int]:
        """Where its record lies."""
        return self.record.topic, self.record.partition, self.record.offset


@dataclass(frozen=True, slots=True)
class Unfoldable:
    """A record for the dead-letter topic."""

    record: Record
    reason: Reason
    error: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A record that is only acknowledged."""

    record: Record


Reading = Entry | Unfoldable | Passed


def read(record: Record, *, group: str, livemode: bool) -> Reading:
    """Return what the record is to the fold of this consumer group, on a live or a test system."""
    if is_replay_for_other(record, group):
        return Passed(record)
    try:
        message = decode(record)
        if isinstance(message, OrderStatusChanged):
            return Unfoldable(record, "unknown_type", "our own announcement is no source of facts")
        if isinstance(message, PspEvent) and message.livemode is not livemode:
            return Unfoldable(record, "mode_mismatch", f"livemode is {message.livemode}, this system's is {livemode}")
        return _entry(record, message)
    except Undecodable as error:
        return Unfoldable(record, cast("Reason", error.reason), error.detail)
    except ImpossibleEvent as error:
        return Unfoldable(record, "impossible_event", error.detail)


def _entry(record: Record, message: Folded) -> Entry:
    place = place_in_log(record.topic, record.offset)
    adds = contribution(message, position=(record.topic, record.partition, place))
    return Entry(
        record=record,
        event_type=message.type if isinstance(message, PspEvent) else type(message).__name__,
        event_id=message.command_id if isinstance(message, Command) else message.event_id,
        occurred_at=_occurred_at(record, message),
        order_id=adds.order_id,
        references=adds.references,
        facts=adds.facts,
        reason=adds.reason,
        may_wait=may_wait(message, adds.references),
    )


def _occurred_at(record: Record, message: Folded) -> int:
    """Return the event's own time, in unix seconds: what is delivered, or said, again has it again.

    A command that a client gave twice has two; then there are two lines, of which the timeline shows the first.
    """
    if isinstance(message, Command):
        return message.issued_at
    if isinstance(message, PspEvent):
        return message.created
    return _ce_time(record) or record.timestamp_ms // 1000


def _ce_time(record: Record) -> int | None:
    try:
        return int(datetime.fromisoformat(record.header("ce_time") or "").timestamp())
    except (ValueError, OverflowError):
        return None
