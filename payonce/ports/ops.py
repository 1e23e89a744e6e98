"""The dead-letter index, replays and the audit chain, as ops_console sees its tables.

Everything is read and written inside one transaction at a time, so that an action and its line in the audit chain are
one thing. What to write is decided outside: a transaction keeps rows and knows no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

from payonce.ports.log import Headers, OutgoingRecord, TopicPartition
from payonce.ports.ops_reads import LedgerView, RefundView, TimelineLine

T = TypeVar("T")
LetterState = Literal["open", "replayed", "resolved", "discarded"]
ItemState = Literal["waiting", "prepared", "sent", "skipped"]
ReplayState = Literal["running", "finished", "cancelled"]


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says. Without a `type` it has none; as an amendment, nobody has written down key and type."""

    key: bytes | None
    value: bytes | None
    type: str | None


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of a letter: what is sent instead from now on, who made it, and who agreed where money is touched."""

    key: bytes | None
    value: bytes | None
    type: str | None
    by: str
    at: datetime
    reason: str
    hash: str
    is_money: bool
    approved_by: str | None = None
    approved_at: datetime | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it may be sent."""
        return not self.is_money or self.approved_by is not None


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: one row per (first origin, group that failed); bytes, headers and place are the newest letter's.

    `attempts` counts failures. `awaits` are event ids of which any in the timeline shows that a replay was taken in;
    `amendment` is what was last sent in its place: a new attempt, or its edit, which stays with it.
    """

    letter_id: str
    origin: str
    group: str
    dlt_topic: str
    dlt_partition: int
    dlt_offset: int
    original_topic: str
    order_id: str | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    event_type: str | None
    reason: str
    error: str
    attempts: int
    first_seen_at: datetime
    last_seen_at: datetime
    state: LetterState
    state_since: datetime
    resolution: str | None = None
    awaits: tuple[str, ...] = ()
    amendment: Content | None = None
    edit: Edit | None = None


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters; None is any. Times are aware UTC and compare with when a letter was first seen."""

    order_id: str | None = None
    reason: str | None = None
    topic: str | None = None
    group: str | None = None
    state: LetterState | None = None
    first_seen_before: datetime | None = None
    first_seen_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """A selection of letters being sent again."""

    replay_id: str
    started_by: str
    started_at: datetime
    why: str
    state: ReplayState = "running"
    ended_at: datetime | None = None
    cancelled_by: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayItem:
    """One letter of a replay. `record` is frozen before it is sent, so that a crash sends the same one again."""

    replay_id: str
    number: int
    letter_id: str
    state: ItemState = "waiting"
    detail: str | None = None
    record: OutgoingRecord | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """Something a person did: who, when (whole milliseconds), what, on what, why, and the hashes around a change."""

    at: datetime
    actor: str
    action: str
    subject: str
    why: str
    before_hash: str | None = None
    after_hash: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChainedAction:
    """An action in the audit chain: `hash` covers everything here, `prev_hash` is the hash of the one before."""

    sequence: int
    action: Action
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class AnchoredPage:
    """What payments.ops holds from an offset on, in its order; where to read on, and where it ends."""

    entries: tuple[ChainedAction, ...]
    next_offset: int
    end: int


class OpsTransaction(Protocol):
    """One transaction over the ops tables. Blocking; raises StoreUnavailable or StoreRejected."""

    def letters(self, wanted: LetterFilter, *, limit: int, after: str | None = None) -> Sequence[Letter]:
        """Return matching letters, oldest first; `after` is the id of the last one of the page before."""
        ...

    def lock_letters(self, letter_ids: Sequence[str]) -> Mapping[str, Letter]:
        """Return those that exist, locked in the order of their ids until the transaction ends."""
        ...

    def save_letters(self, letters: Sequence[Letter]) -> None:
        """Insert or replace rows."""
        ...

    def letters_from(self, origins: Sequence[str]) -> Sequence[Letter]:
        """Return all letters of these origins, of every group."""
        ...

    def settle_replayed(self, *, now: datetime, silent_since: datetime) -> int:
        """Mark replayed letters resolved whose outcome the timeline shows, or that stayed silent; return how many.

        A letter of a command that the timeline shows as nothing but refused (REFUSALS) is open again instead.
        """
        ...

    def oldest_unresolved(self) -> Mapping[TopicPartition, int]:
        """Return the lowest offset of an open or replayed letter, for each partition that has one."""
        ...

    def counts(self) -> Mapping[tuple[str, str, str], int]:
        """Return how many open letters there are by (original topic, group, reason)."""
        ...

    def ledger_of(self, order_ids: Sequence[str]) -> Mapping[str, Sequence[LedgerView | RefundView]]:
        """Return what psp_worker's ledger has of these orders: attempts, by number, then refunds; read only."""
        ...

    def timeline(self, order_id: str, limit: int) -> Sequence[TimelineLine]:
        """Return the newest lines of an order's timeline, oldest first."""
        ...

    def positions(self) -> Mapping[TopicPartition, int]:
        """Return how far each dead-letter partition is indexed."""
        ...

    def advance(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Store next offsets."""
        ...

    def insert_replay(self, replay: Replay, letter_ids: Sequence[str]) -> None:
        """Write a replay with its items, all waiting."""
        ...

    def replay(self, replay_id: str) -> Replay | None:
        """Return the replay, locked until the transaction ends."""
        ...

    def running_replay(self) -> Replay | None:
        """Return the oldest replay that is running, or that was cancelled with a record prepared; locked."""
        ...

    def save_replay(self, replay: Replay) -> None:
        """Update a replay."""
        ...

    def next_item(self, replay_id: str) -> ReplayItem | None:
        """Return the prepared item, else the first that waits."""
        ...

    def save_item(self, item: ReplayItem) -> None:
        """Update an item."""
        ...

    def replays(self, *, limit: int, state: ReplayState | None = None, after: str | None = None) -> Sequence[Replay]:
        """Return replays, the newest first; `after` is the id of the last one of the page before."""
        ...

    def item_counts(self, replay_id: str) -> Mapping[ItemState, int]:
        """Return how many items are in each state."""
        ...

    def skipped_items(self, replay_id: str, limit: int) -> Sequence[ReplayItem]:
        """Return items that were not sent, with the reason in `detail`."""
        ...

    def last_action(self) -> ChainedAction | None:
        """Return the end of the audit chain and keep every other writer out until the transaction ends."""
        ...

    def append_action(self, entry: ChainedAction) -> None:
        """Write the next entry of the chain."""
        ...

    def actions_of(self, subject: str, limit: int) -> Sequence[ChainedAction]:
        """Return the newest entries about a subject, oldest first."""
        ...

    def actions_between(self, first: int, last: int | None = None) -> Sequence[ChainedAction]:
        """Return the entries with these numbers (both inclusive; None: to the end), in their order."""
        ...

    def unpublished_actions(self, limit: int) -> Sequence[ChainedAction]:
        """Return the oldest entries that payments.ops is not known to have."""
        ...

    def newest_published(self) -> ChainedAction | None:
        """Return the newest entry that payments.ops is known to have."""
        ...

    def mark_published(self, entries: Sequence[ChainedAction]) -> None:
        """Note that payments.ops has them. A row that is another entry by now (a restore) stays as it is."""
        ...

    def withdraw_unpublished(self) -> None:
        """Take the entries away that payments.ops is not known to have, to append them under other numbers."""
        ...

    def has_taken_up(self, former_hash: str) -> bool:
        """Return whether an entry says that it had this hash before it was renumbered."""
        ...


class OpsStore(Protocol):
    """The tables that ops_console writes."""

    async def run(self, work: Callable[[OpsTransaction], T]) -> T:
        """Run `work` in one transaction, off the loop. Raises StoreUnavailable or StoreRejected."""
        ...

    async def lead(self) -> bool:
        """Try to be, or stay, the one process that replays, publishes and cleans up. Raises StoreUnavailable."""
        ...


class AuditTopic(Protocol):
    """payments.ops, read back by the one who writes it."""

    async def since(self, offset: int) -> AnchoredPage:
        """Return a page from an offset on; beyond the end, from the beginning: a new topic. Raises PublishFailed."""
        ...
