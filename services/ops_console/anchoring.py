"""Anchors the audit chain on payments.ops, and brings back from there what a restored database has forgotten of it.

An entry's number is for good when payments.ops has it. A backup is behind the topic, so after a restore the next deeds
take numbers that stand there for other deeds. Before anything more is published, the forgotten entries return to the
table, and those deeds follow them under new numbers. Nothing that was published is ever changed or taken away here: a
row that contradicts the topic is somebody's doing, and `payonce verify` names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import structlog

from payonce import telemetry
from payonce.audit import TOPIC, audit_record, chained, follows, hash_of, renumbered
from payonce.ports import Clock, LogProducer, TopicPartition
from payonce.ports.ops import Action, AnchoredPage, AuditTopic, ChainedAction, OpsStore, OpsTransaction
from payonce.record_size import fits

#: Up to here payments.ops is known to be in the table: stored beside the rows, so that a restore takes it back as well.
PLACE = TopicPartition(TOPIC, 0)
_BATCH = 100
#: So often the topic is looked at while nothing calls for it: somebody else may have written there.
_LOOK_SECONDS = 30.0
log = structlog.get_logger()


class Auditor:
    """Publishes one entry after the other, so that the topic has the table's order. For the process that leads."""

    def __init__(self, store: OpsStore, producer: LogProducer, topic: AuditTopic, clock: Clock) -> None:
        self._store = store
        self._producer = producer
        self._topic = topic
        self._clock = clock
        self._newest: ChainedAction | None = None  # the newest published row, as this process left it
        self._look_at = float("-inf")

    async def run_once(self) -> int:
        """Publish the oldest entries; return how many. Raises StoreUnavailable or PublishFailed; repeat it then."""
        waiting, newest = await self._store.run(_to_publish)
        if newest != self._newest or self._clock.monotonic() >= self._look_at:
            await self._look()
            waiting, newest = await self._store.run(_to_publish)
            if newest != self._newest:
                return 0  # restored once more meanwhile
        for entry in waiting:
            await self._producer.publish(audit_record(entry))
        if waiting:
            await self._store.run(lambda tx: tx.mark_published(waiting))
            self._newest = waiting[-1]
            telemetry.audit_published_total.inc(len(waiting))
        return len(waiting)

    async def _look(self) -> None:
        """Bring the table up to the topic's end; begin again as often as a restore takes the table back meanwhile."""
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        self._look_at = float("-inf")
        stored = offset = await self._store.run(_position)
        while True:
            page = await self._topic.since(offset)
            try:
                self._newest = await self._store.run(partial(take_up, page=page, stored=stored, now=now))
            except TakenBack:
                stored = offset = await self._store.run(_position)
                continue
            stored, offset = max(stored, page.next_offset), page.next_offset
            if offset >= page.end:
                break
        self._look_at = self._clock.monotonic() + _LOOK_SECONDS


class TakenBack(Exception):
    """A restore has taken the table back since the page was asked for: what it lacks now begins before the page."""


def take_up(tx: OpsTransaction, page: AnchoredPage, stored: int, now: datetime) -> ChainedAction | None:
    """Bring the table to what this page of the topic tells; return the newest published entry. Idempotent.

    Raises TakenBack unless the table is as far as it was (`stored`) when the page was asked for.
    """
    tx.last_action()  # nobody appends until this is done
    if _position(tx) != stored:
        raise TakenBack
    newest = tx.newest_published()
    own = tx.actions_between(newest.sequence + 1 if newest else 1)
    found = compared(newest, own, _known(tx, page, newest), page.entries)
    tx.mark_published(found.confirmed)
    _put_back(tx, found, own[-1] if own else newest, now)
    tx.advance({PLACE: page.next_offset})
    return tx.newest_published()


@dataclass(frozen=True, slots=True)
class Compared:
    """The table's unpublished entries and a page of the topic, side by side."""

    #: The table's own, and the topic has them.
    confirmed: tuple[ChainedAction, ...]
    #: The topic continues the published chain with these: the table has forgotten them.
    forgotten: tuple[ChainedAction, ...]
    #: The table's own that the topic does not have.
    waiting: tuple[ChainedAction, ...]
    #: They are on the topic, and their numbers are other entries': a process that was frozen published them too late.
    aside: tuple[ChainedAction, ...]


def compared(
    newest: ChainedAction | None, own: Sequence[ChainedAction], published: Iterable[str], page: Iterable[ChainedAction]
) -> Compared:
    """Compare. Pure. `newest`: the end of the published chain, `own`: what follows it, `published`: hashes before it.

    What does not have the hash that it must have is nobody's entry, and stays for `payonce verify` to name.
    """
    seen, waiting = set(published), list(own)
    confirmed: list[ChainedAction] = []
    forgotten: list[ChainedAction] = []
    aside: list[ChainedAction] = []
    for entry in page:
        if entry.hash in seen or entry.hash != hash_of(entry):
            continue
        seen.add(entry.hash)
        if not forgotten and waiting and waiting[0].hash == entry.hash:
            newest = waiting.pop(0)
            confirmed.append(newest)
        elif follows(entry, newest):
            newest = entry
            forgotten.append(entry)
        elif all(entry.hash != ours.hash for ours in waiting):
            aside.append(entry)
    return Compared(tuple(confirmed), tuple(forgotten), tuple(waiting), tuple(aside))


def _known(tx: OpsTransaction, page: AnchoredPage, newest: ChainedAction | None) -> set[str]:
    numbers = [entry.sequence for entry in page.entries if newest and entry.sequence <= newest.sequence]
    return {row.hash for row in tx.actions_between(min(numbers), max(numbers))} if numbers else set()


def _put_back(tx: OpsTransaction, found: Compared, last: ChainedAction | None, now: datetime) -> None:
    displaced = list(found.aside)
    if found.forgotten:
        tx.withdraw_unpublished()
        for entry in found.forgotten:
            tx.append_action(entry)
        tx.mark_published(found.forgotten)
        last = chained(_restored(found.forgotten, now), found.forgotten[-1])
        tx.append_action(last)
        displaced[:0] = found.waiting
    for entry in displaced:
        again = renumbered(entry, last)
        if not fits(audit_record(again)):  # somebody else's, for `payonce verify` to name: no entry of ours is as large
            log.error("audit_entry_left_out", sequence=entry.sequence, hash=entry.hash)
        elif not tx.has_taken_up(entry.hash):
            last = again
            tx.append_action(last)
    if found.forgotten or displaced:
        log.warning("audit_entries_came_back", entries=len(found.forgotten), renumbered=len(displaced))


def _restored(forgotten: Sequence[ChainedAction], now: datetime) -> Action:
    return Action(
        at=now,
        actor="ops_console",
        action="restore",
        subject="ops_action",
        why=f"the database had forgotten these entries: they came back from {TOPIC}",
        detail={"first": forgotten[0].sequence, "last": forgotten[-1].sequence},
    )


def _position(tx: OpsTransaction) -> int:
    return tx.positions().get(PLACE, 0)


def _to_publish(tx: OpsTransaction) -> tuple[Sequence[ChainedAction], ChainedAction | None]:
    return tx.unpublished_actions(_BATCH), tx.newest_published()
