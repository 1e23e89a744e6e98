"""What operators do to a dead letter, each in one transaction with its line in the audit chain.

A deed either happens with its line or not at all. Nothing is published here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from payonce.audit import chained
from payonce.ports.ops import Action, Edit, Letter, OpsTransaction
from services.ops_console.editing import Draft, drafted, letter_hash
from services.ops_console.refusals import Refused, unknown_letter


@dataclass(frozen=True, slots=True)
class Deed:
    """Who does something, when (aware UTC) and why."""

    actor: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Wish:
    """An edit as an operator asks for it: dotted paths, or a whole body; another key or type."""

    changes: Mapping[str, Any] | None = None
    body: str | None = None
    key: str | None = None
    type: str | None = None


def note(tx: OpsTransaction, action: Action) -> None:
    """Append to the audit chain. The last thing in a transaction, since it keeps all other writers out."""
    tx.append_action(chained(action, tx.last_action()))


def edit(tx: OpsTransaction, letter_id: str, wish: Wish, deed: Deed) -> tuple[Letter, Draft]:
    """Keep an edit, to be sent by the next replay; it takes the place of an earlier one. Raises Refused."""
    letter = _actionable(tx, letter_id)
    draft = drafted(letter, changes=wish.changes, body=wish.body, key=wish.key, kind=wish.type)
    pending = Edit(
        key=draft.key,
        value=draft.value,
        type=draft.type,
        by=deed.actor,
        at=deed.at,
        reason=deed.why,
        hash=draft.hash,
        is_money=draft.is_money,
    )
    edited = replace(letter, edit=pending)
    tx.save_letters([edited])
    _note(tx, "edit", letter, deed, after_hash=draft.hash, paths=[change.path for change in draft.differences[:50]])
    return edited, draft


def withdraw_edit(tx: OpsTransaction, letter_id: str, deed: Deed) -> Letter:
    """Forget the pending edit. Raises Refused."""
    letter = _actionable(tx, letter_id)
    if letter.edit is None:
        raise Refused("no_edit", "there is no pending edit")
    plain = replace(letter, edit=None)
    tx.save_letters([plain])
    _note(tx, "withdraw_edit", letter, deed, edit=letter.edit.hash)
    return plain


def approve(tx: OpsTransaction, letter_id: str, edit_hash: str, deed: Deed) -> Letter:
    """Let the edit with this hash be sent: the second person's word. Idempotent. Raises Refused."""
    letter = _actionable(tx, letter_id)
    pending = letter.edit
    if pending is None or pending.hash != edit_hash:
        raise Refused("another_edit", "the pending edit is not the one that you name: look at it again")
    if pending.by == deed.actor:
        raise Refused("own_edit", "an edit is approved by another person than the one who made it", status=403)
    if pending.approved_by is not None:
        return letter
    approved = replace(letter, edit=replace(pending, approved_by=deed.actor, approved_at=deed.at))
    tx.save_letters([approved])
    _note(tx, "approve", letter, deed, after_hash=pending.hash, edited_by=pending.by)
    return approved


def discard(tx: OpsTransaction, letter_id: str, deed: Deed) -> Letter:
    """Set the letter aside for good; it stays readable, and one that comes back opens again. Raises Refused."""
    letter = _actionable(tx, letter_id)
    gone = replace(letter, state="discarded", state_since=deed.at, edit=None)
    tx.save_letters([gone])
    _note(tx, "discard", letter, deed, was=letter.state)
    return gone


def _actionable(tx: OpsTransaction, letter_id: str) -> Letter:
    letter = tx.lock_letters([letter_id]).get(letter_id)
    if letter is None:
        raise unknown_letter(letter_id)
    if letter.state == "discarded":
        raise Refused("discarded", "it is discarded; nothing more is done with it")
    return letter


def _note(
    tx: OpsTransaction, action: str, letter: Letter, deed: Deed, after_hash: str | None = None, **detail: Any
) -> None:
    note(
        tx,
        Action(
            at=deed.at,
            actor=deed.actor,
            action=action,
            subject=letter.letter_id,
            why=deed.why,
            before_hash=letter_hash(letter),
            after_hash=after_hash,
            detail={"order": letter.order_id, "reason": letter.reason, "origin": letter.origin, **detail},
        ),
    )
