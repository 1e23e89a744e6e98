"""The ops tables in memory: passes the suite of the PostgreSQL ones (tests/adapters/test_ops_store_contract.py)."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from payonce.audit import former_hashes
from payonce.catalog import topic_of
from payonce.ports import StoreUnavailable, TopicPartition
from payonce.ports.ops import (
    ChainedAction,
    ItemState,
    Letter,
    LetterFilter,
    OpsTransaction,
    Replay,
    ReplayItem,
    ReplayState,
)
from payonce.ports.ops_reads import REFUSALS, LedgerView, RefundView, TimelineLine

T = TypeVar("T")
_COMMANDS = topic_of("RegisterPayment")


@dataclass
class Tables:
    """Everything that is committed."""

    letters: dict[str, Letter] = field(default_factory=dict)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    replays: dict[str, Replay] = field(default_factory=dict)
    items: dict[str, list[ReplayItem]] = field(default_factory=dict)
    actions: list[ChainedAction] = field(default_factory=list)
    published: set[int] = field(default_factory=set)
    ledger: dict[str, list[LedgerView | RefundView]] = field(default_factory=dict)
    lines: dict[str, list[TimelineLine]] = field(default_factory=dict)


class MemoryOpsStore:
    """Implements ports.ops.OpsStore: a transaction that raises leaves nothing behind."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.is_away = False
        self.leads = True

    async def run(self, work: Callable[[OpsTransaction], T]) -> T:
        return self.run_now(work)

    def run_now(self, work: Callable[[OpsTransaction], T]) -> T:
        """Do the same without a loop."""
        if self.is_away:
            raise StoreUnavailable("away")
        tables = copy.deepcopy(self.tables)
        result = work(MemoryOpsTransaction(tables))
        self.tables = tables
        return result

    async def lead(self) -> bool:
        if self.is_away:
            raise StoreUnavailable("away")
        return self.leads


class MemoryOpsTransaction:
    """Implements ports.ops.OpsTransaction over tables of its own: whoever made it keeps them, or does not."""

    def __init__(self, tables: Tables) -> None:
        self._t = tables

    def letters(self, wanted: LetterFilter, *, limit: int, after: str | None = None) -> Sequence[Letter]:
        ordered = sorted(self._t.letters.values(), key=_age)
        if after is not None:
            mark = _age(self._t.letters[after])
            ordered = [letter for letter in ordered if _age(letter) > mark]
        return [letter for letter in ordered if _matches(letter, wanted)][:limit]

    def lock_letters(self, letter_ids: Sequence[str]) -> Mapping[str, Letter]:
        return {name: self._t.letters[name] for name in sorted(set(letter_ids)) if name in self._t.letters}

    def save_letters(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            self._t.letters[letter.letter_id] = letter

    def letters_from(self, origins: Sequence[str]) -> Sequence[Letter]:
        found = [letter for letter in self._t.letters.values() if letter.origin in set(origins)]
        return sorted(found, key=lambda letter: letter.letter_id)

    def settle_replayed(self, *, now: datetime, silent_since: datetime) -> int:
        types = {line.event_id: line.event_type for lines in self._t.lines.values() for line in lines}
        settled = 0
        for letter in [each for each in self._t.letters.values() if each.state == "replayed"]:
            seen = [types[event_id] for event_id in letter.awaits if event_id in types]
            refusals = REFUSALS if letter.original_topic == _COMMANDS else ()
            if any(kind not in refusals for kind in seen):
                done = replace(letter, state="resolved", resolution="timeline")
            elif seen:
                done = replace(letter, state="open", resolution="refused")
            elif letter.state_since < silent_since and not self._is_doubtful(letter):
                done = replace(letter, state="resolved", resolution="silence")
            else:
                continue
            settled += done.state == "resolved"
            self._t.letters[letter.letter_id] = replace(done, state_since=now)
        return settled

    def oldest_unresolved(self) -> Mapping[TopicPartition, int]:
        found: dict[TopicPartition, int] = {}
        for letter in self._t.letters.values():
            if letter.state in {"open", "replayed"}:
                place = TopicPartition(letter.dlt_topic, letter.dlt_partition)
                found[place] = min(found.get(place, letter.dlt_offset), letter.dlt_offset)
        return found

    def counts(self) -> Mapping[tuple[str, str, str], int]:
        open_ones = [letter for letter in self._t.letters.values() if letter.state == "open"]
        return Counter((letter.original_topic, letter.group, letter.reason) for letter in open_ones)

    def ledger_of(self, order_ids: Sequence[str]) -> Mapping[str, Sequence[LedgerView | RefundView]]:
        return {name: self._t.ledger[name] for name in order_ids if name in self._t.ledger}

    def timeline(self, order_id: str, limit: int) -> Sequence[TimelineLine]:
        lines = sorted(self._t.lines.get(order_id, ()), key=lambda line: line.occurred_at)
        return lines[-limit:]

    def positions(self) -> Mapping[TopicPartition, int]:
        return dict(self._t.positions)

    def advance(self, offsets: Mapping[TopicPartition, int]) -> None:
        for place, offset in offsets.items():
            self._t.positions[place] = max(offset, self._t.positions.get(place, 0))

    def insert_replay(self, replay: Replay, letter_ids: Sequence[str]) -> None:
        self._t.replays[replay.replay_id] = replay
        self._t.items[replay.replay_id] = [
            ReplayItem(replay.replay_id, number, letter_id) for number, letter_id in enumerate(letter_ids, start=1)
        ]

    def replay(self, replay_id: str) -> Replay | None:
        return self._t.replays.get(replay_id)

    def running_replay(self) -> Replay | None:
        running = [each for each in self._t.replays.values() if each.state == "running" or self._is_bound(each)]
        return min(running, key=lambda each: (each.started_at, each.replay_id), default=None)

    def save_replay(self, replay: Replay) -> None:
        if replay.replay_id in self._t.replays:
            self._t.replays[replay.replay_id] = replay

    def next_item(self, replay_id: str) -> ReplayItem | None:
        left = [item for item in self._t.items.get(replay_id, ()) if item.state in {"prepared", "waiting"}]
        return min(left, key=lambda item: (item.state != "prepared", item.number), default=None)

    def save_item(self, item: ReplayItem) -> None:
        if item.replay_id in self._t.items:
            self._t.items[item.replay_id][item.number - 1] = item

    def replays(self, *, limit: int, state: ReplayState | None = None, after: str | None = None) -> Sequence[Replay]:
        matching = [each for each in self._t.replays.values() if state in {None, each.state}]
        newest_first = sorted(matching, key=_beginning, reverse=True)
        if after is not None:
            last = self._t.replays.get(after)
            newest_first = [each for each in newest_first if last is not None and _beginning(each) < _beginning(last)]
        return newest_first[:limit]

    def item_counts(self, replay_id: str) -> Mapping[ItemState, int]:
        return Counter(item.state for item in self._t.items.get(replay_id, ()))

    def skipped_items(self, replay_id: str, limit: int) -> Sequence[ReplayItem]:
        return [item for item in self._t.items.get(replay_id, ()) if item.state == "skipped"][:limit]

    def last_action(self) -> ChainedAction | None:
        return self._t.actions[-1] if self._t.actions else None

    def append_action(self, entry: ChainedAction) -> None:
        self._t.actions.append(entry)

    def actions_of(self, subject: str, limit: int) -> Sequence[ChainedAction]:
        return [entry for entry in self._t.actions if entry.action.subject == subject][-limit:]

    def unpublished_actions(self, limit: int) -> Sequence[ChainedAction]:
        return [entry for entry in self._t.actions if entry.sequence not in self._t.published][:limit]

    def actions_between(self, first: int, last: int | None = None) -> Sequence[ChainedAction]:
        return [
            entry for entry in self._t.actions if first <= entry.sequence and (last is None or entry.sequence <= last)
        ]

    def newest_published(self) -> ChainedAction | None:
        published = [entry for entry in self._t.actions if entry.sequence in self._t.published]
        return published[-1] if published else None

    def mark_published(self, entries: Sequence[ChainedAction]) -> None:
        rows = {(entry.sequence, entry.hash) for entry in self._t.actions}
        self._t.published.update(entry.sequence for entry in entries if (entry.sequence, entry.hash) in rows)

    def withdraw_unpublished(self) -> None:
        self._t.actions = [entry for entry in self._t.actions if entry.sequence in self._t.published]

    def has_taken_up(self, former_hash: str) -> bool:
        return any(former_hash in former_hashes(entry) for entry in self._t.actions)

    def _is_doubtful(self, letter: Letter) -> bool:
        sent = letter.amendment
        names = {letter.order_id or "", (sent.key or b"").decode("ascii", "replace") if sent else ""}
        rows = [row for name in names for row in self._t.ledger.get(name, ())]
        return any(isinstance(row, LedgerView) and row.state == "unknown" for row in rows)

    def _is_bound(self, replay: Replay) -> bool:
        prepared = any(item.state == "prepared" for item in self._t.items[replay.replay_id])
        return replay.state == "cancelled" and prepared


def _beginning(replay: Replay) -> tuple[datetime, str]:
    return replay.started_at, replay.replay_id


def _age(letter: Letter) -> tuple[datetime, str]:
    return letter.first_seen_at, letter.letter_id


def _matches(letter: Letter, wanted: LetterFilter) -> bool:
    return (
        wanted.order_id in {None, letter.order_id}
        and wanted.reason in {None, letter.reason}
        and wanted.topic in {None, letter.original_topic, letter.dlt_topic}
        and wanted.group in {None, letter.group}
        and wanted.state in {None, letter.state}
        and (wanted.first_seen_before is None or letter.first_seen_at < wanted.first_seen_before)
        and (wanted.first_seen_after is None or letter.first_seen_at >= wanted.first_seen_after)
    )
