"""How a dead letter goes back: as it was, as it was edited, or as a new attempt; or why it stays. Pure.

A dead command is never blindly executed again: an unchanged one is decided by psp_worker's ledger; what can no longer
be registered, was refused, or was edited, becomes a new command. What an edit has replaced is not sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from payonce.catalog import topics
from payonce.codec import Message, outgoing
from payonce.domain.commands import Command, RegisterPayment
from payonce.domain.events import RegistrationStuck, TokenEvent
from payonce.domain.identity import name_based_id
from payonce.ports import HOLDING_STATES, Headers, OutgoingRecord
from payonce.ports.ops import Content, Letter
from payonce.ports.ops_reads import LedgerView, RefundView
from payonce.record_size import fits
from services.ops_console.amending import Rules, SecretsMissing, can_register, new_attempt
from services.ops_console.letters import original_headers
from services.ops_console.refund_rules import why_it_stays
from services.ops_console.standing import is_replaced, next_content, read, with_type

How = Literal["as_is", "edited", "new_attempt", "new_command"]
SOURCE = "ops_console"
_WORKER = "psp_worker"
_UNKNOWN_GROUP = "unknown"
#: Whose letters psp_worker reads when they come back: its own, and those that do not say whose they are.
_WORKERS = frozenset({_WORKER, _UNKNOWN_GROUP})
_TOO_LARGE = "with the headers of a replay it is larger than its topic takes"
_WITHDRAWN = "it was sent edited, and that edit is withdrawn: edit it to say what is to be sent"
#: What answers a command; being stuck answers nothing.
_OUTCOMES = tuple(kind.__name__ for kind in get_args(TokenEvent) if kind is not RegistrationStuck)


@dataclass(frozen=True, slots=True)
class Send:
    """Send this record. `awaits`: event ids of which any in the timeline shows that it was taken in."""

    record: OutgoingRecord
    how: How
    awaits: tuple[str, ...]
    note: str | None = None

    @property
    def is_for_everyone(self) -> bool:
        """Whether every group reads it, so that letters of other groups about the same original are answered too."""
        return all(name != "replay-for" for name, _ in self.record.headers)


@dataclass(frozen=True, slots=True)
class Skip:
    """Leave the letter as it is."""

    why: str


def plan(
    letter: Letter, ledger: Sequence[LedgerView | RefundView], rules: Rules, others: Sequence[Letter] = ()
) -> Send | Skip:
    """Return how the letter goes back now.

    `ledger` is what psp_worker knows of its order (`standing.order_of`), `others` are the other groups' letters about
    the same original.
    """
    if letter.state == "discarded":
        return Skip("it is discarded")
    if letter.original_topic not in topics():
        return Skip(f"there is no topic {letter.original_topic}")
    if letter.edit is not None and not letter.edit.is_ready:
        return Skip("its edit touches money and waits for a second person's approval")
    planned = _planned(letter, ledger, rules, others)
    if isinstance(planned, Skip):
        return planned
    lineage = _lineage([letter, *others] if planned.is_for_everyone else [letter])
    record = replace(planned.record, headers=planned.record.headers + lineage)
    return replace(planned, record=record) if fits(record) else Skip(_TOO_LARGE)


def _planned(
    letter: Letter, ledger: Sequence[LedgerView | RefundView], rules: Rules, others: Sequence[Letter]
) -> Send | Skip:
    message = read(letter, next_content(letter))
    is_the_workers = letter.edit is not None or letter.group in _WORKERS
    if message is not None and is_the_workers and (why := why_it_stays(letter, message, ledger, others)):
        return Skip(why)
    if isinstance(message, RegisterPayment):
        attempts = [row for row in ledger if isinstance(row, LedgerView)]
        return _registration(letter, message, attempts, rules)
    if letter.edit is None and is_replaced(letter):
        return Skip(_WITHDRAWN)
    if isinstance(message, Command) and letter.edit is not None:
        record = outgoing(message, at=rules.now, source=SOURCE, headers=_trace(letter))
        return Send(record, "new_command", _awaited(message, letter.group))
    return _again(letter, message)


def replayed(letter: Letter, sending: Send) -> Letter:
    """Return the letter's row once the record is bound to be sent. The edit stays: it is what the letter says now."""
    amendment = letter.amendment if sending.how == "as_is" else _content(sending.record)
    return replace(letter, awaits=sending.awaits, amendment=amendment, resolution=None)


def _registration(letter: Letter, command: RegisterPayment, ledger: Sequence[LedgerView], rules: Rules) -> Send | Skip:
    own = next((row for row in ledger if (row.attempt, row.body_hash) == (command.attempt, command.body_hash)), None)
    is_changed = letter.edit is not None or is_replaced(letter)
    if not is_changed and _goes_back(letter, command, own, rules.now):
        note = None if own is None else f"the ledger holds attempt {own.attempt} as {own.state}: it repeats its outcome"
        return _again(letter, command, note)
    holder = next((row for row in ledger if row.state in HOLDING_STATES), None)
    if holder is not None:
        return Skip(f"attempt {holder.attempt} is {holder.state} and may still be paid: settle or cancel it first")
    try:
        amended = new_attempt(command, letter, ledger, rules)
    except SecretsMissing as error:
        return Skip(str(error))
    record = outgoing(amended, at=rules.now, source=SOURCE, headers=_trace(letter))
    note = f"attempt {amended.attempt}, usable for {(amended.expires_at - int(rules.now)) // 3600} h"
    return Send(record, "new_attempt", _awaited(amended, letter.group), note)


def _goes_back(letter: Letter, command: RegisterPayment, own: LedgerView | None, now: float) -> bool:
    """Return whether the same command still does what a replay is for; `own` is its row in the ledger."""
    if own is None:
        return can_register(command, now)
    if letter.group not in _WORKERS or own.state in HOLDING_STATES:
        return True
    # Of a failed one the ledger only repeats that it failed. Nobody can pay it, that is proven: so a new one may come.
    return own.state != "failed" and can_register(command, now)


def _again(letter: Letter, message: Message | None, note: str | None = None) -> Send:
    """Send the same identity to the group that failed."""
    edit = letter.edit
    headers = original_headers(letter)
    record = OutgoingRecord(
        topic=letter.original_topic,
        key=edit.key if edit else letter.key,
        value=edit.value if edit else letter.value,
        headers=(with_type(headers, edit.type) if edit else headers) + _for_group(letter),
    )
    if message is None:
        note = "it cannot be read: it will come back unless the reader has changed"
    awaits = () if message is None else _awaited(message, letter.group)
    return Send(record, "edited" if edit else "as_is", awaits, note)


def _awaited(message: Message, group: str) -> tuple[str, ...]:
    if not isinstance(message, Command):
        return (message.event_id,)
    if group != _WORKER:
        return (message.command_id,)
    return tuple(name_based_id("evt", message.order_id, message.command_id, outcome) for outcome in _OUTCOMES)


def _lineage(letters: Sequence[Letter]) -> Headers:
    """Return what makes it the same dead letter, should it fail again, and to each of these letters a new failure."""
    return (
        ("dlt-origin", letters[0].origin.encode()),
        ("dlt-attempts", str(max(letter.attempts for letter in letters)).encode()),
    )


def _content(record: OutgoingRecord) -> Content:
    kind = next((value for name, value in record.headers if name == "ce_type" and value), b"")
    return Content(record.key, record.value, kind.decode("utf-8", "replace"))


def _trace(letter: Letter) -> Headers:
    return tuple(header for header in letter.headers if header[0] in {"traceparent", "tracestate"})


def _for_group(letter: Letter) -> Headers:
    return () if letter.group == _UNKNOWN_GROUP else (("replay-for", letter.group.encode()),)
