"""Rows as operators see them. Pure. Who may only look sees no payment link, secret or mail address."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import orjson

from payonce.codec import Undecodable
from payonce.ports.ops import ChainedAction, Edit, ItemState, Letter, Replay, ReplayItem
from payonce.ports.ops_reads import LedgerView, RefundView, TimelineLine
from services.ops_console.amending import Rules
from services.ops_console.editing import Draft
from services.ops_console.payloads import (
    AuditEntry,
    Body,
    DeadLetter,
    DeadLetterDetail,
    DifferenceShown,
    EditAnswer,
    LedgerAttempt,
    LedgerRefund,
    PendingEdit,
    PlannedLetterShown,
    ReplayPreview,
    ReplayStatus,
    TimelineEntry,
)
from services.ops_console.planning import Send, Skip, plan
from services.ops_console.selecting import Preview
from services.ops_console.standing import decoded, is_replaced, own, standing

#: Names under which a message carries what opens a payment or names a person.
_PRIVATE = ("client_secret", "hosted_page_url", "url", "success_url", "cancel_url", "email", "phone", "address")
_MASK = "(hidden from viewers)"
_DEEPEST = 100


def summary(letter: Letter) -> DeadLetter:
    """Return a letter as lists show it."""
    return DeadLetter(**_common(letter))


def detail(
    letter: Letter,
    *,
    rules: Rules,
    ledger: Sequence[LedgerView | RefundView],
    timeline: Sequence[TimelineLine],
    actions: Sequence[ChainedAction],
    others: Sequence[Letter],
    masked: bool,
) -> DeadLetterDetail:
    """Return everything that helps to judge a letter; `others` are the other groups' about the same original."""
    return DeadLetterDetail(
        **_common(letter),
        position=f"{letter.dlt_topic}/{letter.dlt_partition}/{letter.dlt_offset}",
        key=_text(letter.key),
        headers=[(name, _text(value)) for name, value in letter.headers],
        body=body(letter.value, masked=masked),
        readable=_readable(letter),
        replaced_by=body(standing(letter).value, masked=masked) if is_replaced(letter) else None,
        next_replay=_next_replay(plan(letter, ledger, rules, others)),
        pending_edit=_pending(letter.edit, masked=masked),
        other_groups=[other.letter_id for other in others],
        ledger=[LedgerAttempt(attempt=row.attempt, state=row.state) for row in ledger if isinstance(row, LedgerView)],
        refunds=[
            LedgerRefund(refund_reference=row.refund_reference, state=row.state)
            for row in ledger
            if isinstance(row, RefundView)
        ],
        timeline=[_line(line) for line in timeline],
        actions=[_action(entry) for entry in actions],
    )


def body(value: bytes | None, *, masked: bool) -> Body:
    """Return bytes in the most readable form; masked: JSON without private values, other forms not at all."""
    if value is None:
        return Body(size_bytes=0, encoding="none", content=None)
    size = len(value)
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        content, encoding = _raw(value)
        return Body(size_bytes=size, encoding=encoding, content=_MASK if masked else content)
    return Body(size_bytes=size, encoding="json", content=_without_private(document) if masked else document)


def edit_answer(letter: Letter, draft: Draft) -> EditAnswer:
    """Return a kept edit with its differences."""
    return EditAnswer(
        letter=summary(letter),
        edit_hash=draft.hash,
        message=type(draft.message).__name__,
        needs_approval=draft.is_money,
        differences=[
            DifferenceShown(path=each.path, before=each.before, after=each.after) for each in draft.differences
        ],
    )


def preview_shown(preview: Preview) -> ReplayPreview:
    """Return a preview."""
    return ReplayPreview(
        selected=preview.selected,
        sending=preview.sending,
        by_how=preview.by_how,
        skipped=preview.skipped,
        commands_per_second=preview.commands_per_second,
        eta_seconds=preview.eta_seconds,
        first=[PlannedLetterShown(id=each.letter_id, how=each.how, note=each.note) for each in preview.first],
    )


def replay_shown(
    replay: Replay, counts: Mapping[ItemState, int], skipped: Sequence[ReplayItem], eta_seconds: int | None = None
) -> ReplayStatus:
    """Return how far a replay is."""
    return ReplayStatus(
        id=replay.replay_id,
        state=replay.state,
        started_by=replay.started_by,
        started_at=_seconds(replay.started_at),
        ended_at=None if replay.ended_at is None else _seconds(replay.ended_at),
        cancelled_by=replay.cancelled_by,
        why=replay.why,
        total=sum(counts.values()),
        items=dict(counts),
        eta_seconds=eta_seconds,
        skipped=[PlannedLetterShown(id=item.letter_id, how="skipped", note=item.detail) for item in skipped],
    )


def _common(letter: Letter) -> dict[str, Any]:
    edit = letter.edit
    return {
        "id": letter.letter_id,
        "origin": letter.origin,
        "topic": letter.original_topic,
        "group": letter.group,
        "order": letter.order_id,
        "type": letter.event_type,
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "first_seen": _seconds(letter.first_seen_at),
        "last_seen": _seconds(letter.last_seen_at),
        "state": letter.state,
        "state_since": _seconds(letter.state_since),
        "resolution": letter.resolution,
        "edit": "none" if edit is None else "ready" if edit.is_ready else "needs_approval",
    }


def _readable(letter: Letter) -> str:
    try:
        return type(decoded(letter, own(letter))).__name__
    except Undecodable as error:
        return f"{error.reason}: {error.detail}"


def _next_replay(planned: Send | Skip) -> str:
    if isinstance(planned, Skip):
        return f"none: {planned.why}"
    return planned.how if planned.note is None else f"{planned.how}: {planned.note}"


def _pending(edit: Edit | None, *, masked: bool) -> PendingEdit | None:
    if edit is None:
        return None
    return PendingEdit(
        hash=edit.hash,
        by=edit.by,
        at=_seconds(edit.at),
        why=edit.reason,
        needs_approval=not edit.is_ready,
        approved_by=edit.approved_by,
        body=body(edit.value, masked=masked).content,
        key=_text(edit.key),
        type=edit.type,
    )


def _line(line: TimelineLine) -> TimelineEntry:
    return TimelineEntry(
        at=_seconds(line.occurred_at),
        event_id=line.event_id,
        type=line.event_type,
        position=f"{line.topic}/{line.partition}/{line.offset}",
        effect=line.effect,
        reason=line.reason,
    )


def _action(entry: ChainedAction) -> AuditEntry:
    action = entry.action
    return AuditEntry(
        sequence=entry.sequence,
        at=_seconds(action.at),
        actor=action.actor,
        action=action.action,
        why=action.why,
        detail=dict(action.detail),
    )


def _raw(value: bytes) -> tuple[str, Literal["text", "base64"]]:
    try:
        return value.decode(), "text"
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), "base64"


def _without_private(node: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return _MASK
    if isinstance(node, dict):
        return {
            name: _MASK if _is_private(name) and child is not None else _without_private(child, depth + 1)
            for name, child in node.items()
        }
    if isinstance(node, list):
        return [_without_private(child, depth + 1) for child in node]
    return node


def _is_private(name: str) -> bool:
    return any(name == word or name.endswith(f"_{word}") for word in _PRIVATE)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
