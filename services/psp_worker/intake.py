"""The asyncio side of the consumer group: what was read becomes running commands, finished ones become commits.

One object per partition *and* assignment; nothing outlives a revoked one. Decisions about commands are elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from payonce.ports import Clock, Ledger, Record, StoreUnavailable, TopicPartition
from payonce.subscription import GroupMember
from payonce.telemetry import worker_open_offsets
from services.psp_worker.assignment import Assignment
from services.psp_worker.holds import Holds
from services.psp_worker.lanes import Lanes
from services.psp_worker.pace import Pacer
from services.psp_worker.slots import Slot, Slots
from services.psp_worker.timing import COMMIT_SECONDS, REVOKE_SECONDS, STORE_SECONDS
from services.psp_worker.work import Work

_CANCEL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Job:
    record: Record
    assignment: Assignment


class Intake:
    """Implements subscription.Subscriber. `failed` holds the exception that must end the process."""

    def __init__(
        self,
        handle: Callable[[Work], Awaitable[None]],
        *,
        ledger: Ledger,
        holds: Holds,
        pacer: Pacer,
        clock: Clock,
        concurrency: int,
    ) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handle = handle
        self._ledger = ledger
        self._holds = holds
        self._pacer = pacer
        self._clock = clock
        self._slots = Slots(concurrency, self._start_ready)
        self._lanes: Lanes[_Job] = Lanes()
        self._assignments: dict[TopicPartition, Assignment] = {}
        self._openings: set[asyncio.Task[None]] = set()
        self._storing = asyncio.Lock()
        self._member: GroupMember | None = None
        self._paused: frozenset[TopicPartition] = frozenset()
        self._draining = False

    def attach(self, member: GroupMember) -> None:
        """Name the member that reads for us; before anything is assigned."""
        self._member = member
        self._holds.on_change = self._apply_pauses

    @property
    def held(self) -> int:
        """How many partitions are held."""
        return len(self._assignments)

    # -- what the group says

    def assigned(self, committed: Mapping[TopicPartition, int | None]) -> None:
        new = [Assignment(partition, offset) for partition, offset in committed.items()]
        self._assignments.update({assignment.partition: assignment for assignment in new})
        self._pacer.hold(len(self._assignments))
        self._apply_pauses()
        opening = asyncio.get_running_loop().create_task(self._open(new))
        self._openings.add(opening)
        opening.add_done_callback(self._ended)

    def received(self, records: Sequence[Record]) -> None:
        for record in records:
            assignment = self._assignments.get(record.topic_partition)
            if assignment is None or not assignment.is_open or self._draining:
                continue
            assignment.offsets.delivered(record.offset)
            self._lanes.add(_lane(record), _Job(record, assignment))
        self._start_ready()
        self._apply_pauses()

    async def revoked(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        gone = self._forget(partitions)
        await self._end(gone, within_seconds=REVOKE_SECONDS)
        with suppress(TimeoutError):  # PostgreSQL is slow or away: what is not stored is not committed, and comes again
            async with asyncio.timeout(STORE_SECONDS):
                await self._store(gone)
        return {a.partition: a.kept for a in gone if a.kept is not None and a.kept == a.offsets.committable}

    async def lost(self, partitions: Sequence[TopicPartition]) -> None:
        for assignment in self._forget(partitions):
            for task in assignment.running:
                task.cancel()

    # -- the process's own loop

    async def run(self) -> None:
        """Commit finished offsets until they are drained. Raises PositionMoved."""
        while not self._draining:
            await self.run_once()
            await self._clock.sleep(COMMIT_SECONDS)

    async def run_once(self) -> int:
        """Store and commit what is finished; return for how many partitions. Raises PositionMoved."""
        offsets = await self._store(self._assignments.values())
        if offsets and self._member is not None:
            self._member.commit(offsets)
        for assignment in self._assignments.values():
            worker_open_offsets.labels(str(assignment.partition.partition)).set(len(assignment.offsets))
        return len(offsets)

    async def drain(self, seconds: float) -> None:
        """Take nothing more; let running commands finish for so long, end those that wait, commit what is finished."""
        self._draining = True
        self._apply_pauses()
        assignments = list(self._assignments.values())
        self._lanes.drop(lambda _job: True)
        await self._end(assignments, within_seconds=seconds)
        await self.run_once()

    # -- commands

    def _start_ready(self) -> None:
        while self._slots.free and (ready := self._lanes.next()):
            key, job = ready
            slot = self._slots.take()
            task = asyncio.get_running_loop().create_task(self._run(job, slot))
            job.assignment.running[task] = slot
            task.add_done_callback(partial(self._over, job.assignment, key))

    async def _run(self, job: _Job, slot: Slot) -> None:
        assignment = job.assignment
        seen_before = assignment.committed is not None and job.record.offset < assignment.committed
        await self._handle(Work(job.record, slot, seen_before))
        assignment.offsets.finished(job.record.offset)

    def _over(self, assignment: Assignment, key: Hashable, task: asyncio.Task[None]) -> None:
        """Make room for others. No `finally` of the task does it: one that is cancelled in time never begins."""
        self._ended(task)
        assignment.running.pop(task).close()
        self._lanes.done(key)
        self._start_ready()
        self._apply_pauses()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._openings.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def _end(self, assignments: Iterable[Assignment], *, within_seconds: float) -> None:
        """Cancel what waits at once, what runs after a while: its row says `calling`, and the next owner asks again."""
        running = {task: slot for assignment in assignments for task, slot in assignment.running.items()}
        for task, slot in running.items():
            if slot.waiting:
                task.cancel()
        if running:
            _, late = await asyncio.wait(running, timeout=within_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_CANCEL_SECONDS)

    # -- partitions

    async def _open(self, assignments: Sequence[Assignment]) -> None:
        """Compare where the ledger stands with where the group stands, and start reading at the earlier one."""
        positions = await self._ledger.positions()
        for assignment in assignments:
            if self._assignments.get(assignment.partition) is not assignment or self._member is None:
                continue  # taken away meanwhile
            stored, committed = positions.get(assignment.partition), assignment.committed
            begins_at = stored or 0  # no row: a backup from before the first one, for a commit comes after its row
            is_behind = committed is not None and begins_at < committed
            assignment.opened(stored)
            self._member.open(assignment.partition, begins_at if is_behind else None)
        self._apply_pauses()

    def _forget(self, partitions: Sequence[TopicPartition]) -> list[Assignment]:
        gone = [found for name in partitions if (found := self._assignments.pop(name, None))]
        self._lanes.drop(lambda job: job.assignment in gone)
        self._pacer.hold(len(self._assignments))
        self._apply_pauses()
        for assignment in gone:
            worker_open_offsets.labels(str(assignment.partition.partition)).set(0)
        return gone

    async def _store(self, assignments: Iterable[Assignment]) -> Mapping[TopicPartition, int]:
        """Write ledger_position before the group's commit; return what may be committed. PostgreSQL away: nothing."""
        async with self._storing:
            moved = [(each, next_offset) for each in assignments if (next_offset := each.to_store()) is not None]
            if not moved:
                return {}
            for assignment, next_offset in moved:
                assignment.storing(next_offset)
            offsets = {assignment.partition: next_offset for assignment, next_offset in moved}
            expected = {assignment.partition: assignment.possible for assignment, _ in moved}
            try:
                await self._ledger.advance(offsets, expected=expected)
            except StoreUnavailable:
                return {}
            for assignment, next_offset in moved:
                assignment.stored(next_offset)
            return offsets

    def _apply_pauses(self) -> None:
        if self._member is None:
            return
        everything = self._holds.active or self._draining
        paused = frozenset(
            assignment.partition for assignment in self._assignments.values() if assignment.is_full() or everything
        )
        if paused != self._paused:
            self._paused = paused
            self._member.pause(paused)


def _lane(record: Record) -> Hashable:
    return record.key if record.key is not None else record.topic_partition
