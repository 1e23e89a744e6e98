"""How a dead letter goes back: as it was, as it was edited, or as a new attempt; or why it stays. Pure.

A dead command is never blindly executed again: an unchanged one is decided by psp_worker's ledger; what can no longer
be registered, or was edited, becomes a new command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from payonce.catalog import topics
from payonce.codec import Message, Undecodable, decode, encode_body, outgoing
from payonce.domain.commands import Command, RegisterPayment
from payonce.domain.events import RegistrationStuck, TokenEvent
from payonce.domain.identity import name_based_id
from payonce.ports import HOLDING_STATES, Headers, OutgoingRecord, Record
from payonce.ports.ops import LedgerView, Letter
from services.ops_console.amending import Rules, SecretsMissing, can_register, new_attempt
from services.ops_console.editing import with_type
from services.ops_console.letters import original_headers

How = Literal["as_is", "edited", "new_attempt", "new_command"]
SOURCE = "ops_console"
_WORKER = "psp_worker"
_UNKNOWN_GROUP = "unknown"
_TOO_LARGE = "with the headers of a replay it is larger than its topic takes"
#: What Kafka's own format may add to a record.
_FRAME_BYTES = 1_024
#: What settles a command; being stuck settles nothing.
_OUTCOMES = tuple(kind.__name__ for kind in get_args(TokenEvent) if kind is not RegistrationStuck)


@dataclass(frozen=True, slots=True)
class Send:
    """Send this record. `awaits`: event ids of which any in the timeline shows that it was taken in."""

    record: OutgoingRecord
    how: How
    awaits: tuple[str, ...]
    note: str | None = None
    amendment: bytes | None = None

    @property
    def is_for_everyone(self) -> bool:
        """Whether every group reads it, so that letters of other groups about the same original are answered too."""
        return all(name != "replay-for" for name, _ in self.record.headers)


@dataclass(frozen=True, slots=True)
class Skip:
    """Leave the letter as it is."""

    why: str


def plan(letter: Letter, ledger: Sequence[LedgerView], rules: Rules) -> Send | Skip:
    """Return how the letter goes back now; `ledger` is what psp_worker knows of its order."""
    if letter.state == "discarded":
        return Skip("it is discarded")
    if letter.original_topic not in topics():
        return Skip(f"there is no topic {letter.original_topic}")
    if letter.edit is not None and not letter.edit.is_ready:
        return Skip("its edit touches money and waits for a second person's approval")
    planned = _planned(letter, ledger, rules)
    return planned if isinstance(planned, Skip) or _fits(planned.record) else Skip(_TOO_LARGE)


def _planned(letter: Letter, ledger: Sequence[LedgerView], rules: Rules) -> Send | Skip:
    message = _message(letter)
    if isinstance(message, RegisterPayment):
        return _registration(letter, message, ledger, rules)
    if isinstance(message, Command) and letter.edit is not None:
        record = outgoing(message, at=rules.now, source=SOURCE, headers=_lineage(letter) + _trace(letter))
        return Send(record, "new_command", _awaited(message, letter.group))
    return _again(letter, message)


def replayed(letter: Letter, sending: Send) -> Letter:
    """Return the letter's row once the record is bound to be sent. The edit is used up."""
    return replace(
        letter, awaits=sending.awaits, amendment=sending.amendment or letter.amendment, edit=None, resolution=None
    )


def _registration(letter: Letter, command: RegisterPayment, ledger: Sequence[LedgerView], rules: Rules) -> Send | Skip:
    own = next((row for row in ledger if (row.attempt, row.body_hash) == (command.attempt, command.body_hash)), None)
    if letter.edit is None and (can_register(command, rules.now) or (own is not None and own.state in HOLDING_STATES)):
        note = None if own is None else f"the ledger holds attempt {own.attempt} as {own.state}: it repeats its outcome"
        return _again(letter, command, note)
    holder = next((row for row in ledger if row.state in HOLDING_STATES), None)
    if holder is not None:
        return Skip(f"attempt {holder.attempt} is {holder.state} and may still be paid: settle or cancel it first")
    try:
        amended = new_attempt(command, letter, ledger, rules)
    except SecretsMissing as error:
        return Skip(str(error))
    record = outgoing(amended, at=rules.now, source=SOURCE, headers=_lineage(letter) + _trace(letter))
    note = f"attempt {amended.attempt}, usable for {(amended.expires_at - int(rules.now)) // 3600} h"
    return Send(record, "new_attempt", _awaited(amended, letter.group), note, encode_body(amended))


def _again(letter: Letter, message: Message | None, note: str | None = None) -> Send:
    """Send the same identity to the group that failed."""
    edit = letter.edit
    headers = original_headers(letter)
    record = OutgoingRecord(
        topic=letter.original_topic,
        key=edit.key if edit else letter.key,
        value=edit.value if edit else letter.value,
        headers=(with_type(headers, edit.type) if edit else headers) + _lineage(letter) + _for_group(letter),
    )
    if message is None:
        note = "it cannot be read: it will come back unless the reader has changed"
    awaits = () if message is None else _awaited(message, letter.group)
    return Send(record, "edited" if edit else "as_is", awaits, note)


def _fits(record: OutgoingRecord) -> bool:
    headers = sum(len(name) + len(value or b"") + 8 for name, value in record.headers)
    size = len(record.key or b"") + len(record.value or b"") + headers + _FRAME_BYTES
    return size <= topics()[record.topic].max_message_bytes


def _message(letter: Letter) -> Message | None:
    edit = letter.edit
    headers = original_headers(letter)
    record = Record(
        letter.original_topic,
        0,
        0,
        edit.key if edit else letter.key,
        edit.value if edit else letter.value,
        with_type(headers, edit.type) if edit else headers,
    )
    try:
        return decode(record)
    except Undecodable:
        return None


def _awaited(message: Message, group: str) -> tuple[str, ...]:
    if not isinstance(message, Command):
        return (message.event_id,)
    if group != _WORKER:
        return (message.command_id,)
    return tuple(name_based_id("evt", message.order_id, message.command_id, outcome) for outcome in _OUTCOMES)


def _lineage(letter: Letter) -> Headers:
    """Return what makes it the same dead letter, should it fail again."""
    return (
        ("dlt-origin", letter.origin.encode()),
        ("dlt-attempts", str(letter.attempts).encode()),
    )


def _trace(letter: Letter) -> Headers:
    return tuple(header for header in letter.headers if header[0] in {"traceparent", "tracestate"})


def _for_group(letter: Letter) -> Headers:
    return () if letter.group == _UNKNOWN_GROUP else (("replay-for", letter.group.encode()),)
