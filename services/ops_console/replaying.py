"""Sends what a replay selected, one letter at a time, at the replays' pace.

The record is written down before it is sent, with the letter's new state and a line in the audit chain: a crash sends
the same record again, and a letter that comes back at once finds itself marked as replayed, and opens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from payonce import telemetry
from payonce.ports import Clock, LogProducer
from payonce.ports.ops import Action, Letter, OpsStore, OpsTransaction, Replay, ReplayItem
from services.ops_console.amending import Rules
from services.ops_console.deeds import note
from services.ops_console.editing import content_hash, letter_hash
from services.ops_console.pacing import ReplayPace
from services.ops_console.planning import Send, Skip, plan, replayed
from services.ops_console.standing import order_of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Idle:
    """No replay is running."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The replay went on without sending anything."""


Step = ReplayItem | Moved | Idle


class Replayer:
    """One at a time among all processes: whoever runs it holds the lead."""

    def __init__(
        self, store: OpsStore, producer: LogProducer, clock: Clock, rules: Callable[[], Rules], pace: ReplayPace
    ) -> None:
        self._store = store
        self._producer = producer
        self._clock = clock
        self._rules = rules
        self._pace = pace

    async def run_once(self) -> bool:
        """Take one step, then wait as the pace asks; return False when no replay is running.

        Raises StoreUnavailable or PublishFailed; repeating is harmless.
        """
        rules = self._rules()
        step = await self._store.run(lambda tx: next_step(tx, rules))
        if isinstance(step, Idle):
            return False
        if isinstance(step, ReplayItem):
            await self._send(step)
        return True

    async def _send(self, item: ReplayItem) -> None:
        record = item.record
        assert record is not None, "a prepared item has its record"
        await self._producer.publish(record)
        await self._store.run(lambda tx: tx.save_item(replace(item, state="sent")))
        telemetry.dead_letters_replayed_total.labels(record.topic).inc()
        log.info("letter_replayed", letter_id=item.letter_id, replay_id=item.replay_id, topic=record.topic)
        await self._clock.sleep(self._pace.seconds_after(record.topic))


def next_step(tx: OpsTransaction, rules: Rules) -> Step:
    """Return the item to send now, prepared; or say that something else happened, or that there is nothing to do."""
    replay = tx.running_replay()
    if replay is None:
        return Idle()
    item = tx.next_item(replay.replay_id)
    if item is None:
        _finish(tx, replay, rules)
        return Moved()
    if item.state == "prepared":
        return item
    letter = tx.lock_letters([item.letter_id])[item.letter_id]
    others = _others(tx, letter)
    order_id = order_of(letter) or ""
    planned = plan(letter, tx.ledger_of([order_id]).get(order_id, ()), rules, others)
    if isinstance(planned, Skip):
        tx.save_item(replace(item, state="skipped", detail=planned.why))
        return Moved()
    prepared = replace(item, state="prepared", detail=planned.how, record=planned.record)
    tx.save_item(prepared)
    # Other groups' open letters about the same original: those groups will read the new record as well.
    answered = [other for other in others if other.state == "open"] if planned.is_for_everyone else []
    changed = [replayed(letter, planned), *answered]
    tx.save_letters([replace(each, state="replayed", state_since=_utc(rules.now)) for each in changed])
    _note(tx, replay, letter, planned, _utc(rules.now))
    return prepared


def _others(tx: OpsTransaction, letter: Letter) -> list[Letter]:
    """Return the other groups' letters about the same original, locked: their counts of failures must not move now."""
    others = [other.letter_id for other in tx.letters_from([letter.origin]) if other.letter_id != letter.letter_id]
    return list(tx.lock_letters(others).values())


def _note(tx: OpsTransaction, replay: Replay, letter: Letter, sending: Send, now: datetime) -> None:
    record = sending.record
    kind = next(
        (value.decode("utf-8", "replace") for name, value in record.headers if name == "ce_type" and value), None
    )
    detail = {"replay": replay.replay_id, "how": sending.how, "topic": record.topic, "order": letter.order_id}
    note(
        tx,
        Action(
            at=now,
            actor=replay.started_by,
            action="replay",
            subject=letter.letter_id,
            why=replay.why,
            before_hash=letter_hash(letter),
            after_hash=content_hash(record.key, kind, record.value),
            detail=detail,
        ),
    )


def _finish(tx: OpsTransaction, replay: Replay, rules: Rules) -> None:
    tx.save_replay(replace(replay, state="finished", ended_at=_utc(rules.now)))
    log.info("replay_finished", replay_id=replay.replay_id, letters=dict(tx.item_counts(replay.replay_id)))


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
