"""What operators do to a dead letter, each in one transaction with its line in the audit chain.

A deed either happens with its line or not at all. Nothing is published here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from payonce.audit import audit_record, chained
from payonce.ports.ops import Action, Edit, Letter, OpsTransaction
from payonce.record_size import fits
from services.ops_console.editing import Draft, drafted, letter_hash
from services.ops_console.refusals import Refused, unknown_letter

#: An entry's detail tells what was meant; the letter itself may be as large as a record and named by anybody.
_LONGEST_TEXT = 200
_MOST_ITEMS = 50


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
    """Append to the audit chain. The last thing in a transaction, since it keeps all other writers out.

    Raises Refused when payments.ops would not take the entry: in the chain it would stand before all later ones.
    """
    entry = chained(replace(action, detail=_shortened(action.detail)), tx.last_action())
    if not fits(audit_record(entry)):
        raise Refused("entry_too_large", "it says more than an entry of the audit chain can hold", status=422)
    tx.append_action(entry)


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
    _note(tx, "edit", letter, deed, after_hash=draft.hash, paths=[change.path for change in draft.differences])
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


def _shortened(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return the detail with what outsiders wrote cut to a size that a person reads."""
    return {name: _short(said) for name, said in detail.items()}


def _short(said: Any) -> Any:
    if isinstance(said, str):
        return said[:_LONGEST_TEXT]
    return [_short(each) for each in said[:_MOST_ITEMS]] if isinstance(said, list) else said
