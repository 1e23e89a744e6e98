"""One chaos run: traffic and faults side by side, then rest, then the comparison."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import uvloop

from sandbox.chaos.faults import Fault, Track
from sandbox.chaos.options import ChaosOptions
from sandbox.chaos.plan import make_plan
from sandbox.chaos.recovery import payments_of, recoveries
from sandbox.chaos.report import Report
from sandbox.chaos.settling import Settling
from sandbox.chaos.stage import Stage, stage
from sandbox.chaos.tracks import Tracks
from sandbox.chaos.witness import Witness
from sandbox.demo.records import Records
from sandbox.demo.traffic import Traffic

_SAY_SECONDS = 15.0
_Say = Callable[[str], None]


def run_chaos(options: ChaosOptions, say: _Say) -> Report:
    """Blocking; call from the main thread. Raises Overdue when a part that must come back by itself does not."""
    with stage(options, say) as standing:
        plan = make_plan(options.seed, options.run_seconds, standing.targets)
        # uvloop: thousands of customers wait in this process, and the links run in it, too.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_Run(options, standing, plan, say).run())


class _Run:
    def __init__(self, options: ChaosOptions, standing: Stage, plan: Sequence[Fault], say: _Say) -> None:
        self._options = options
        self._stage = standing
        self._plan = plan
        self._say = say
        self._tracks = Tracks(standing.injector.inject, say)
        self._traffic = Traffic(
            options.orders,
            patience_seconds=options.patience_seconds,
            reload_seconds=options.reload_seconds,
            most_connections=2_000,
            gave_up=[],
        )

    async def run(self) -> Report:
        addresses = self._stage.world.addresses
        records = Records(addresses.database_url)
        # Every track blocks a thread, and so do the looks at PostgreSQL and Kafka.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(len(Track) + 4))
        with Witness(addresses.kafka_bootstrap_servers) as witness:
            settling = Settling(self._stage, witness, records, self._traffic, self._say)
            await self._live()
            self._say("the faults are over and the last customer has left: now everything must come right by itself")
            settled, seconds = await asyncio.to_thread(settling.wait, self._options.settle_seconds)
            found = await asyncio.to_thread(settling.look, self._options, settled=settled, seconds=seconds)
            placed = {order: self._tracks.since_began(at) for order, at in self._traffic.placed_at.items()}
            paid = {order: self._tracks.since_began(at) for order, at in witness.paid_at().items()}
        records.close()
        injected = self._tracks.injected
        return Report(
            seed=self._options.seed,
            minutes=self._options.minutes,
            injected=injected,
            planned=len(self._plan),
            copies=self._stage.injector.copies,
            ends=self._stage.ends.counts,
            left_out=self._stage.left_out,
            recoveries=recoveries(injected, payments_of(placed, paid)),
            accepted_seconds=self._traffic.accepted_seconds,
            page_seconds=self._traffic.page_seconds,
            found=found,
        )

    async def _live(self) -> None:
        """Run traffic and faults to their ends. A part that does not come back ends both."""
        self._tracks.begin()
        by_track: defaultdict[Track, list[Fault]] = defaultdict(list)
        for fault in self._plan:
            by_track[fault.kind.track].append(fault)
        watching = asyncio.create_task(self._watch())
        closing = asyncio.get_running_loop().call_later(self._options.run_seconds, self._tracks.end)
        try:
            async with asyncio.TaskGroup() as group:
                for faults in by_track.values():
                    group.create_task(asyncio.to_thread(self._tracks.run_track, faults))
                rate = self._options.orders_per_second
                group.create_task(self._traffic.run(self._stage.world.addresses, orders_per_second=rate))
        finally:
            closing.cancel()
            self._tracks.end()
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self) -> None:
        told, most = 0, 0
        while True:
            await asyncio.sleep(_SAY_SECONDS)
            calls = (await asyncio.to_thread(self._stage.control.stats))["most_calls_per_second"]
            if (now := int(calls.get("total", 0))) > most:
                most = now
                self._say(f"most calls to the PSP in one second so far: {calls}")
            traffic = self._traffic
            for reason in (traffic.gave_up or [])[told:]:
                self._say(f"gave up: {reason}")
                told += 1
            kinds = Counter(each.fault.kind.track.value for each in self._tracks.injected)
            faults = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
            shown, gave_up = len(traffic.page_seconds), len(traffic.gave_up or ())
            self._say(f"{len(traffic.placed)} orders, {shown} pages shown, {gave_up} gave up; {faults}")
