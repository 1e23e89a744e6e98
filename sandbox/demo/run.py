"""One demo in a running world: traffic, watching, settling, the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

import aiohttp
from rich.console import Console

from payonce.verification import Report, verify
from payonce.verification.showing import show, verdict
from sandbox.demo.analytics import Analytics
from sandbox.demo.display import Progress, render
from sandbox.demo.records import Records
from sandbox.demo.summary import Summary, money_expected, summarise, unsettled
from sandbox.demo.topic_counts import TopicCounts
from sandbox.demo.traffic import Traffic
from sandbox.world import World

#: After the last customer has left: time for delayed debits, webhook retries and restarted processes.
SETTLE_SECONDS = 90.0
_LOOK_SECONDS = 0.5
#: All is settled when the guarantees are verified; a last announcement may be on its way.
_GRACE_SECONDS = 5.0


class Demo:
    """Runs once."""

    def __init__(self, world: World, console: Console, *, orders: int, orders_per_second: float) -> None:
        self._world = world
        self._console = console
        self._rate = orders_per_second
        self._traffic = Traffic(orders)
        self._resources = ExitStack()
        addresses = world.addresses
        self._records = Records(addresses.database_url)
        self._counts = TopicCounts(addresses.kafka_bootstrap_servers)
        self._resources.callback(self._records.close)
        self._resources.callback(self._counts.close)
        self._analytics = self._resources.enter_context(Analytics(addresses.kafka_bootstrap_servers))

    async def run(self, kill: Sequence[str] = ()) -> Summary:
        """Place the orders, end each process named in `kill` with SIGKILL meanwhile, and return the comparison."""
        with self._resources, Progress(self._console) as progress:
            watching = asyncio.create_task(self._watch(progress))
            killing = asyncio.create_task(self._kill(kill))
            try:
                await self._traffic.run(self._world.addresses, orders_per_second=self._rate)
                await killing
                await self._settle()
            finally:
                for task in (watching, killing):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
            summary = await self._compare()
        self._console.print(render(summary, self._traffic))
        report = await self._verify()
        if report.violations:
            show(self._console, report)
        else:
            self._console.print(verdict(report), highlight=False)
        return replace(summary, violations=report.violations)

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
            statuses = await asyncio.to_thread(self._records.statuses, self._ids)
            counts = await asyncio.to_thread(self._counts.read)
            progress.show(self._traffic, statuses, counts)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _kill(self, names: Sequence[str]) -> None:
        """Spread the kills over the traffic: the first when a third of the orders is placed."""
        step = self._traffic.wanted / self._rate / (len(names) + 2)
        for name in names:
            await asyncio.sleep(step)
            pid = await asyncio.to_thread(self._world.supervisor.kill, name)
            self._console.print(f"killed {name} (pid {pid}) with SIGKILL", highlight=False)

    async def _settle(self) -> None:
        """Wait until everything is as it must be; what is not by the deadline is the summary's to tell."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline and not await self._settled():
            await asyncio.sleep(_LOOK_SECONDS)

    async def _settled(self) -> bool:
        statuses = await asyncio.to_thread(self._records.statuses, self._ids)
        expected = money_expected(self._traffic.placed)
        return not unsettled(self._traffic.placed, statuses) and self._analytics.money() == expected

    async def _compare(self) -> Summary:
        statuses, recorded = await asyncio.to_thread(
            lambda: (self._records.statuses(self._ids), self._records.money(self._ids))
        )
        return summarise(
            self._traffic.placed,
            statuses,
            recorded=recorded,
            analysed=self._analytics.money(),
            sessions_per_order=await self._sessions_per_order(),
        )

    async def _sessions_per_order(self) -> dict[str, int]:
        url = f"{self._world.addresses.simulator_url}/_control/stats"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            answer.raise_for_status()
            stats = await answer.json()
        return {str(order): int(count) for order, count in stats["sessions_per_order"].items() if order}
