"""The JSON that operators' tools send and receive. Unknown fields are refused. Times are unix seconds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from payonce.ports.ops import ItemState, LetterState, ReplayState
from services.ops_console.selecting import REPLAY_LIMIT


def _printable(text: str) -> str:
    """PostgreSQL stores no NUL, and nobody means to send control characters."""
    if not text.isprintable():
        raise ValueError("must consist of printable characters")
    return text


def _spoken(text: str) -> str:
    if not text.strip():
        raise ValueError("must say something")
    return text.strip()


Printable = Annotated[str, AfterValidator(_printable)]
Name = Annotated[Printable, Field(min_length=1, max_length=200)]
FieldPath = Annotated[str, Field(min_length=1, max_length=200)]
Why = Annotated[
    Printable,
    AfterValidator(_spoken),
    Field(min_length=1, max_length=500, description="Why: stands in the audit chain for ever"),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EditRequest(_Request):
    """A change of the body (dotted paths, or the whole body as text), of the key or of the message's type."""

    changes: dict[FieldPath, Any] | None = Field(None, max_length=100, description='E.g. {"terms.amount": 1050}')
    body: str | None = Field(None, max_length=1_000_000)
    key: Name | None = None
    type: Name | None = Field(None, description="ce_type, e.g. payonce.RegisterPayment.v1")
    why: Why

    @model_validator(mode="after")
    def _one_body(self) -> EditRequest:
        if self.changes is not None and self.body is not None:
            raise ValueError("send changes or body, not both")
        return self


class ApproveRequest(_Request):
    """The second person's word on the edit with this hash."""

    edit_hash: str = Field(pattern="^[0-9a-f]{64}$")
    why: Why


class WhyRequest(_Request):
    """A deed that needs nothing but its reason."""

    why: Why


class FilterRequest(_Request):
    """Letters that match all of these; ages count from when a letter was first seen."""

    order: Name | None = Field(None, description="Order id (or the PSP id that a webhook is keyed by)")
    reason: Name | None = Field(None, description="See docs/dead-letters.md")
    topic: Name | None = Field(None, description="The original or the dead-letter topic")
    group: Name | None = Field(None, description="Who failed")
    older_than_seconds: float | None = Field(None, ge=0, le=1e9)
    newer_than_seconds: float | None = Field(None, ge=0, le=1e9)


class ListQuery(FilterRequest):
    """Letters that match all of these, a page of them."""

    state: LetterState | None = None
    limit: int = Field(50, ge=1, le=200)
    starting_after: Name | None = Field(None, description="Id of the last one of the page before")


class ReplayRequest(_Request):
    """Letters by id, or all open ones that match a filter (an empty one: all of them)."""

    ids: list[Name] | None = Field(None, min_length=1, max_length=REPLAY_LIMIT)
    filter: FilterRequest | None = None
    dry_run: bool = False
    why: Why

    @model_validator(mode="after")
    def _one_selection(self) -> ReplayRequest:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("send ids or filter, one of them")
        return self


class ReplaysQuery(_Request):
    """Replays in this state (none: in every one), a page of them."""

    state: ReplayState | None = None
    limit: int = Field(20, ge=1, le=100)
    starting_after: Name | None = Field(None, description="Id of the last one of the page before")


class PendingEdit(BaseModel):
    """An edit that the next replay will send, also after others have sent it."""

    hash: str
    by: str
    at: int
    why: str
    needs_approval: bool
    approved_by: str | None
    body: Any = Field(description="The edited body")
    key: str | None
    type: str | None


class DeadLetter(BaseModel):
    """A dead letter in a list."""

    object: Literal["dead_letter"] = "dead_letter"
    id: str
    origin: str
    topic: str
    group: str = Field(description="Who failed")
    order: str | None = Field(description="The record's key: an order id, or a PSP id")
    type: str | None
    reason: str
    error: str
    attempts: int = Field(description="How often it has failed")
    first_seen: int
    last_seen: int
    state: LetterState
    state_since: int
    resolution: str | None
    edit: Literal["none", "ready", "needs_approval"]


class Body(BaseModel):
    """The original bytes, as far as they can be shown: JSON, else text, else base64."""

    size_bytes: int
    encoding: Literal["json", "text", "base64", "none"]
    content: Any


class TimelineEntry(BaseModel):
    """One event that touched the order."""

    at: int
    event_id: str
    type: str
    position: str
    effect: str
    reason: str | None


class AuditEntry(BaseModel):
    """Something that somebody did to the letter."""

    sequence: int
    at: int
    actor: str
    action: str
    why: str
    detail: dict[str, Any]


class LedgerAttempt(BaseModel):
    """What psp_worker's ledger says of one attempt of the order."""

    attempt: int
    state: str


class LedgerRefund(BaseModel):
    """What psp_worker's ledger says of one refund of the order."""

    refund_reference: str
    state: str


class DeadLetterDetail(DeadLetter):
    """A dead letter with everything that helps to judge it."""

    position: str = Field(description="Its newest record: topic/partition/offset")
    key: str | None
    headers: list[tuple[str, str | None]]
    body: Body
    readable: str = Field(description="What the reader would say of it now: the message's name, or what is wrong")
    replaced_by: Body | None = Field(description="What was sent last in its place; edits begin from it")
    next_replay: str = Field(description="What a replay would do now")
    pending_edit: PendingEdit | None
    other_groups: list[str] = Field(description="Dead letters of other groups about the same original")
    ledger: list[LedgerAttempt]
    refunds: list[LedgerRefund]
    timeline: list[TimelineEntry]
    actions: list[AuditEntry]


class DeadLetterList(BaseModel):
    """A page of dead letters, oldest first."""

    object: Literal["list"] = "list"
    data: list[DeadLetter]
    has_more: bool


class DifferenceShown(BaseModel):
    """One place in which the edited body differs."""

    path: str
    before: Any
    after: Any


class EditAnswer(BaseModel):
    """The edit as it is kept: it fits its schema."""

    letter: DeadLetter
    edit_hash: str
    message: str
    needs_approval: bool
    differences: list[DifferenceShown]


class PlannedLetterShown(BaseModel):
    """One letter of a preview."""

    id: str
    how: str
    note: str | None


class ReplayPreview(BaseModel):
    """What a replay would do."""

    object: Literal["replay_preview"] = "replay_preview"
    selected: int
    sending: int
    by_how: dict[str, int]
    skipped: dict[str, int] = Field(description="Letters that stay, by reason")
    commands_per_second: float = Field(description="The share of the PSP's limit that replays may take")
    eta_seconds: int
    first: list[PlannedLetterShown]


class ReplayStatus(BaseModel):
    """How far a replay is."""

    object: Literal["replay"] = "replay"
    id: str
    state: ReplayState
    started_by: str
    started_at: int
    ended_at: int | None
    cancelled_by: str | None
    why: str
    total: int
    items: dict[ItemState, int]
    eta_seconds: int | None = None
    skipped: list[PlannedLetterShown] = Field(description="Some that stay, with the reason; a list leaves them out")


class ReplayList(BaseModel):
    """A page of replays, the newest first."""

    object: Literal["list"] = "list"
    data: list[ReplayStatus]
    has_more: bool
