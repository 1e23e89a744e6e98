"""One demo in a running world: the traffic, then the lives, each watched until it has settled; at last the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from rich.console import Console

from payonce.verification import Report, verify
from payonce.verification.showing import show, verdict
from sandbox.demo import psp_books
from sandbox.demo.analytics import Analytics
from sandbox.demo.chapter import live_all
from sandbox.demo.display import Progress, render
from sandbox.demo.life_lines import life_lines
from sandbox.demo.lives import Lived
from sandbox.demo.records import Records
from sandbox.demo.summary import Summary, money_expected, summarise, unsettled
from sandbox.demo.topic_counts import TopicCounts
from sandbox.demo.traffic import Traffic
from sandbox.stripe_simulator.control_client import Control
from sandbox.world import World

#: After the last customer has left: time for delayed debits, webhook retries and restarted processes. Reached only by
#: a difference.
SETTLE_SECONDS = 180.0
_LOOK_SECONDS = 0.5
#: All is settled when the guarantees are verified; a last announcement may be on its way.
_GRACE_SECONDS = 5.0


class Demo:
    """Runs once."""

    def __init__(self, world: World, console: Console, *, orders: int, orders_per_second: float) -> None:
        addresses = world.addresses
        assert addresses.simulator_url is not None, "the demo's customers pay at the simulator"
        self._world = world
        self._console = console
        self._rate = orders_per_second
        self._traffic = Traffic(orders)
        self._psp = Control(addresses.simulator_url)
        self._resources = ExitStack()
        self._records = Records(addresses.database_url)
        self._counts = TopicCounts(addresses.kafka_bootstrap_servers)
        self._resources.callback(self._records.close)
        self._resources.callback(self._counts.close)
        self._analytics = self._resources.enter_context(Analytics(addresses.kafka_bootstrap_servers))

    async def run(self, kill: Sequence[str] = ()) -> Summary:
        """Place the orders, end each process named in `kill` with SIGKILL meanwhile, live; return the comparison."""
        with self._resources:
            with Progress(self._console) as progress:
                await self._traffic_watched(progress, kill)
            # Frozen here: the lives move the PSP's clock, and what customers have left open expires then.
            statuses, statistics = await asyncio.to_thread(self._end_of_traffic)
            self._say("now every life of a payment, while days pass at the PSP")
            lived = await live_all(self._world.addresses, self._say)
            sessions = psp_books.sessions_per_order(statistics)
            await self._settle(lambda: self._compare(statuses, sessions, lived).equal)
            summary = await asyncio.to_thread(self._compare, statuses, sessions, lived)
        self._console.print(render(summary, self._traffic))
        report = await self._verify()
        if report.violations:
            show(self._console, report)
        else:
            self._say(verdict(report))
        return replace(summary, violations=report.violations)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)

    async def _traffic_watched(self, progress: Progress, kill: Sequence[str]) -> None:
        """Place the orders and wait until they have settled."""
        watching = asyncio.create_task(self._watch(progress))
        killing = asyncio.create_task(self._kill(kill))
        try:
            await self._traffic.run(self._world.addresses, orders_per_second=self._rate)
            await killing
            await self._settle(self._traffic_has_settled)
        finally:
            for task in (watching, killing):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await self._show(progress)

    async def _verify(self) -> Report:
        where = self._world.addresses
        return await asyncio.to_thread(
            verify, where.kafka_bootstrap_servers, where.database_url, grace_seconds=_GRACE_SECONDS
        )

    @property
    def _ids(self) -> list[str]:
        return [order.order_id for order in self._traffic.placed]

    async def _watch(self, progress: Progress) -> None:
        while True:
            await self._show(progress)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _show(self, progress: Progress) -> None:
        statuses = await asyncio.to_thread(self._records.statuses, self._ids)
        counts = await asyncio.to_thread(self._counts.read)
        progress.show(self._traffic, statuses, counts)

    async def _kill(self, names: Sequence[str]) -> None:
        """Spread the kills over the traffic: the first when a third of the orders is placed."""
        step = self._traffic.wanted / self._rate / (len(names) + 2)
        for name in names:
            await asyncio.sleep(step)
            pid = await asyncio.to_thread(self._world.supervisor.kill, name)
            self._say(f"killed {name} (pid {pid}) with SIGKILL")

    async def _settle(self, has_settled: Callable[[], bool]) -> None:
        """Wait until everything is as it must be; what is not by the deadline is the summary's to tell."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline and not await asyncio.to_thread(has_settled):
            await asyncio.sleep(_LOOK_SECONDS)

    def _traffic_has_settled(self) -> bool:
        placed = self._traffic.placed
        is_late = unsettled(placed, self._records.statuses(self._ids))
        return not is_late and self._analytics.money() == money_expected(placed)

    def _end_of_traffic(self) -> tuple[dict[str, str], psp_books.Statistics]:
        return self._records.statuses(self._ids), self._psp.stats()

    def _compare(self, statuses: dict[str, str], sessions: dict[str, int], lived: Sequence[Lived]) -> Summary:
        """Compare what the traffic has left and the lives as they are now; the money is of both. Blocking."""
        of_lives = [each.order_id for each in lived]
        everything = [*self._ids, *of_lives]
        return summarise(
            self._traffic.placed,
            statuses,
            recorded=self._records.money(everything),
            analysed=self._analytics.money(),
            sessions_per_order=sessions,
            lives=life_lines(lived, self._records.statuses(of_lives), self._records.movements(of_lives)),
            further={"movements": self._records.moved(everything), "the PSP": psp_books.money(self._psp.stats())},
        )
