"""The dead-letter resource. Thin: what is decided is decided in `deeds` and `planning`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from payonce.domain.commands import RefundPayment
from payonce.ports.ops import Letter, LetterFilter, LetterState, OpsTransaction
from payonce.ports.ops_reads import LedgerView, RefundView
from payonce.problem_documents import documented
from services.ops_console import deeds, showing
from services.ops_console.access import Acting, Approving, Viewer
from services.ops_console.amending import Rules
from services.ops_console.deeds import Deed, Wish
from services.ops_console.dependencies import Parts
from services.ops_console.editing import Draft
from services.ops_console.operators import Operator
from services.ops_console.payloads import (
    ApproveRequest,
    DeadLetter,
    DeadLetterDetail,
    DeadLetterList,
    EditAnswer,
    EditRequest,
    FilterRequest,
    ListQuery,
    Name,
    WhyRequest,
)
from services.ops_console.refund_rules import why_it_stays
from services.ops_console.refusals import Refused, unknown_letter
from services.ops_console.standing import order_of

_TIMELINE_LINES = 100
_AUDIT_LINES = 100
router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])

LetterId = Annotated[Name, Path(description="Id of a dead letter, dl_...")]


def wanted_letters(asked: FilterRequest, now: datetime, state: LetterState | None = None) -> LetterFilter:
    """Return the filter with ages, counted from `now`, as times."""
    older, newer = asked.older_than_seconds, asked.newer_than_seconds
    return LetterFilter(
        order_id=asked.order,
        reason=asked.reason,
        topic=asked.topic,
        group=asked.group,
        state=state,
        first_seen_before=None if older is None else now - timedelta(seconds=older),
        first_seen_after=None if newer is None else now - timedelta(seconds=newer),
    )


@router.get("", responses=documented(401, 403, 422, 503))
async def list_dead_letters(_: Viewer, parts: Parts, asked: Annotated[ListQuery, Query()]) -> DeadLetterList:
    """List dead letters, oldest first."""
    wanted = wanted_letters(asked, parts.now(), asked.state)
    found = await parts.store.run(lambda tx: _page(tx, wanted, asked.limit + 1, asked.starting_after))
    page = found[: asked.limit]
    return DeadLetterList(data=[showing.summary(letter) for letter in page], has_more=len(found) > asked.limit)


@router.get("/{letter_id}", responses=documented(401, 403, 404, 503))
async def get_dead_letter(letter_id: LetterId, viewer: Viewer, parts: Parts) -> DeadLetterDetail:
    """Show one dead letter: its body decoded, its order's timeline and ledger, what was done about it."""
    rules = parts.rules()
    return await parts.store.run(lambda tx: _detail(tx, letter_id, rules, viewer))


@router.post("/{letter_id}/edit", responses=documented(400, 401, 403, 404, 409, 422, 503))
async def edit_dead_letter(letter_id: LetterId, request: EditRequest, operator: Acting, parts: Parts) -> EditAnswer:
    """Keep an edit for the next replay; refused unless it fits its schema. Money needs a second person's approval."""
    wish = Wish(changes=request.changes, body=request.body, key=request.key, type=request.type)
    deed = _deed(operator, parts, request.why)
    letter, draft = await parts.store.run(lambda tx: _edit(tx, letter_id, wish, deed))
    return showing.edit_answer(letter, draft)


@router.post("/{letter_id}/edit/withdraw", responses=documented(401, 403, 404, 409, 422, 503))
async def withdraw_edit(letter_id: LetterId, request: WhyRequest, operator: Acting, parts: Parts) -> DeadLetter:
    """Forget the pending edit."""
    deed = _deed(operator, parts, request.why)
    return showing.summary(await parts.store.run(lambda tx: deeds.withdraw_edit(tx, letter_id, deed)))


@router.post("/{letter_id}/edit/approve", responses=documented(401, 403, 404, 409, 422, 503))
async def approve_edit(letter_id: LetterId, request: ApproveRequest, approver: Approving, parts: Parts) -> DeadLetter:
    """Approve the edit with this hash. Another person than the one who made it must do so."""
    deed = _deed(approver, parts, request.why)
    letter = await parts.store.run(lambda tx: deeds.approve(tx, letter_id, request.edit_hash, deed))
    return showing.summary(letter)


@router.post("/{letter_id}/discard", responses=documented(401, 403, 404, 409, 422, 503))
async def discard_dead_letter(letter_id: LetterId, request: WhyRequest, operator: Acting, parts: Parts) -> DeadLetter:
    """Set a letter aside for good. It stays readable."""
    deed = _deed(operator, parts, request.why)
    return showing.summary(await parts.store.run(lambda tx: deeds.discard(tx, letter_id, deed)))


def _edit(tx: OpsTransaction, letter_id: str, wish: Wish, deed: Deed) -> tuple[Letter, Draft]:
    """Keep an edit that a replay may send: of a refund that the ledger has decided, nobody should approve in vain."""
    letter, draft = deeds.edit(tx, letter_id, wish, deed)
    if why := why_it_stays(letter, draft.message, _ledger(tx, letter), _others(tx, letter)):
        field = "refund_reference" if isinstance(draft.message, RefundPayment) else "type"
        raise Refused("refund_stays", why, status=422, field=field)
    return letter, draft


def _page(tx: OpsTransaction, wanted: LetterFilter, limit: int, after: str | None) -> list[Letter]:
    if after is not None and after not in tx.lock_letters([after]):
        raise Refused("unknown_dead_letter", f"there is no dead letter {after}", status=422, field="starting_after")
    return list(tx.letters(wanted, limit=limit, after=after))


def _detail(tx: OpsTransaction, letter_id: str, rules: Rules, viewer: Operator) -> DeadLetterDetail:
    letter = tx.lock_letters([letter_id]).get(letter_id)
    if letter is None:
        raise unknown_letter(letter_id)
    order_id = order_of(letter)
    return showing.detail(
        letter,
        rules=rules,
        ledger=_ledger(tx, letter),
        timeline=tx.timeline(order_id, _TIMELINE_LINES) if order_id else (),
        actions=tx.actions_of(letter_id, _AUDIT_LINES),
        others=_others(tx, letter),
        masked=viewer.roles == {"viewer"},
    )


def _ledger(tx: OpsTransaction, letter: Letter) -> Sequence[LedgerView | RefundView]:
    order_id = order_of(letter) or ""
    return tx.ledger_of([order_id]).get(order_id, ())


def _others(tx: OpsTransaction, letter: Letter) -> list[Letter]:
    """Return the other groups' letters about the same original."""
    return [other for other in tx.letters_from([letter.origin]) if other.letter_id != letter.letter_id]


def _deed(operator: Operator, parts: Parts, why: str) -> Deed:
    return Deed(actor=operator.id, at=parts.now(), why=why)
