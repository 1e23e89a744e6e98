"""The fold: batches of records into rows, at least once, in any order, with the same result.

It knows neither Faust nor PostgreSQL: log, store and clock are handed in. It never skips a record silently (each is
applied, parked, counted as foreign, or a dead letter) and never acknowledges: the caller does, after `run_once`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from payonce import telemetry
from payonce.dead_letters import dead_letter
from payonce.domain.belonging import names_only_a_payment
from payonce.ports import (
    Clock,
    FoldStore,
    LogProducer,
    Record,
    StoreRejected,
    TopicPartition,
)
from services.status_processor.positions import Positions, places_behind
from services.status_processor.reading import Entry, Passed, Reading, Unfoldable, read
from services.status_processor.result import FoldResult, Tally
from services.status_processor.transaction import Outcome, fold_entries

#: PSP ids that one sweep looks up; what is left over waits for the next one.
SWEEP_LIMIT = 500
#: So long an event waits for its order.
WAITING_LIMIT_SECONDS = 24 * 3_600
_VAIN = "no order of ours is known to which this belongs, and the PSP could not say in a day"


class Fold:
    """Folds for one consumer group. `run_once`, `sweep` and the assignment calls take turns, so tasks may share it."""

    def __init__(
        self,
        store: FoldStore,
        producer: LogProducer,
        clock: Clock,
        *,
        group: str,
        livemode: bool,
        on_announced: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._producer = producer
        self._clock = clock
        self._group = group
        self._livemode = livemode
        self._on_announced = on_announced
        self._positions = Positions()
        self._turn = asyncio.Lock()

    async def run_once(self, batch: Sequence[Record]) -> FoldResult:
        """Fold a batch (offsets ascending per partition) and return once it, and its dead letters, are durable.

        Repeating is harmless. Raises StoreUnavailable or PublishFailed: call again with the same batch; PositionMoved:
        another process writes these partitions or the database was restored, so this one must end.
        """
        started = self._clock.monotonic()
        async with self._turn:
            await self._positions.settle(self._store)
            tally = Tally()
            await self._fold([self.read(record) for record in batch], tally)
            await self._look_again(sorted(tally.waiting), tally)
            result = await self._finish(tally)
        telemetry.fold_batch_records.observe(len(batch))
        telemetry.fold_seconds.observe(self._clock.monotonic() - started)
        return result

    async def sweep(self) -> FoldResult:
        """Look up the waiting events whose PSP ids have become known (two workers may have crossed). Idempotent.

        It also notices a database that was restored behind our back, even while nothing arrives.
        One process sweeps at a time, others return at once. Raises StoreUnavailable, PublishFailed or PositionMoved.
        """
        async with self._turn:
            await self._positions.check(self._store)
            tally = Tally()
            known: Sequence[str] = ()
            try:
                async with self._store.transaction() as transaction:
                    known = await transaction.resolvable(SWEEP_LIMIT)
                    outcome = await fold_entries(transaction, (), reader=self, awaited=known)
                tally.add(outcome)
            except StoreRejected:
                await self._look_again(known, tally)
            await self._give_up(tally)
            return await self._finish(tally)

    async def assigned(
        self, committed: Mapping[TopicPartition, int | None], ends: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        """Begin anew with partitions that start at the group's committed offsets; return where to start others.

        These are the partitions whose rows are behind: a database restored from a backup. `ends` is where the log ends
        now: what lies before is told again, for the world may have heard of it from rows that the restore took away.
        Raises StoreUnavailable; the comparison is then made up for before the next batch or sweep, which raises
        PositionMoved if it fails.
        """
        async with self._turn:
            self._positions.forget(committed, ends)
            stored = await self._store.positions()
            self._positions.start(stored)
            return places_behind(stored, committed)

    def revoked(self) -> None:
        """Note that our partitions go to others, whose positions are not ours to compare."""
        self._positions.release()

    def next_offset(self, place: TopicPartition) -> int:
        """Return how far this partition is folded, as far as this process knows."""
        return self._positions.next_offset(place)

    def read(self, record: Record) -> Reading:
        """Return what the record is to this consumer group. Pure."""
        return read(record, group=self._group, livemode=self._livemode)

    def may_have_been_told(self, record: Record) -> bool:
        """Return whether a lost row may have been announced with what this record makes."""
        return self._positions.may_have_been_told(record)

    async def bury(self, unfoldable: Sequence[Unfoldable]) -> None:
        """Return once the dead letters are durable. Repeating is harmless. Raises PublishFailed."""
        at = self._clock.now()
        letters = [
            dead_letter(each.record, reason=each.reason, error=each.error, group=self._group, at=at)
            for each in unfoldable
        ]
        await asyncio.gather(*(self._producer.publish(letter) for letter in letters))

    async def _fold(self, readings: Sequence[Reading], tally: Tally) -> None:
        """Commit the readings in one transaction, or in as many as it takes to find what the database refuses."""
        try:
            tally.add(await self._commit(readings))
        except StoreRejected as error:
            if len(readings) == 1:
                await self._isolate(readings[0], error, tally)
                return
            middle = len(readings) // 2
            await self._fold(readings[:middle], tally)
            await self._fold(readings[middle:], tally)
        else:
            tally.unfoldable.extend(each for each in readings if isinstance(each, Unfoldable))

    async def _isolate(self, reading: Reading, error: StoreRejected, tally: Tally) -> None:
        """Tell whether one refused record is the poison, or a waiting event that it would have released."""
        if not isinstance(reading, Entry):
            raise error  # nothing of the record was written: the refusal is about something else
        try:
            tally.add(await self._commit([reading], release=False))
        except StoreRejected:
            tally.unfoldable.append(Unfoldable(reading.record, "rejected_by_database", str(error)))
            await self._commit([Passed(reading.record)])
        else:
            tally.waiting.update(reading.references)

    async def _commit(self, readings: Sequence[Reading], *, release: bool = True) -> Outcome:
        step = self._positions.step(reading.record for reading in readings)
        entries = [reading for reading in readings if isinstance(reading, Entry)]
        try:
            async with self._store.transaction() as transaction:
                outcome = await fold_entries(transaction, entries, reader=self, release=release)
                await transaction.advance(step.offsets, expected=step.expected)
        except StoreRejected:
            raise
        except BaseException:
            self._positions.doubt(step)
            raise
        self._positions.done(step)
        return outcome

    async def _look_again(self, references: Sequence[str], tally: Tally) -> None:
        """Fold waiting events by these PSP ids, if known; one that the database refuses becomes a dead letter."""
        if not references:
            return
        try:
            async with self._store.transaction() as transaction:
                outcome = await fold_entries(transaction, (), reader=self, awaited=references)
            tally.add(outcome)
        except StoreRejected as error:
            if len(references) == 1:
                await self._bury(references[0], error, tally)
                return
            middle = len(references) // 2
            await self._look_again(references[:middle], tally)
            await self._look_again(references[middle:], tally)

    async def _bury(self, reference: str, error: StoreRejected, tally: Tally) -> None:
        """Make dead letters of the events that wait for this id, published before their rows are gone."""
        async with self._store.transaction() as transaction:
            events = await transaction.parked_for([reference])
            buried = [Unfoldable(event.record, "rejected_by_database", str(error)) for event in events]
            await self.bury(buried)
        tally.buried.extend(buried)

    async def _give_up(self, tally: Tally) -> None:
        """End the waiting for what is not ours, and for what nobody could place in a day: that is for people.

        But for events about nothing but a payment: no invoice has named it in a day, so it is another app's.
        """
        async with self._store.transaction() as transaction:
            tally.foreign += await transaction.drop_foreign(SWEEP_LIMIT)
            overdue = await transaction.take_overdue(WAITING_LIMIT_SECONDS, SWEEP_LIMIT)
            worth_a_look = [event for event in overdue if not names_only_a_payment(event.references)]
            tally.foreign += len(overdue) - len(worth_a_look)
            buried = [Unfoldable(event.record, "unresolved", _VAIN) for event in worth_a_look]
            await self.bury(buried)  # before the transaction ends, which deletes their rows
        tally.buried.extend(buried)

    async def _finish(self, tally: Tally) -> FoldResult:
        if tally.announced:
            self._on_announced()
        await self.bury(tally.unfoldable)
        result = tally.result()
        result.count()
        return result
