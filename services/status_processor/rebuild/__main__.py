"""`payonce rebuild`: make the fold's tables anew from the topics beside the live ones, compare, perhaps replace.

Exit codes: 0 equal (or replaced), 1 different, 2 refused with a sentence that says what to do first.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import closing

from rich.console import Console

from payonce.adapters.clock import SystemClock
from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.kafka.reader import LogAway, LogReader
from payonce.adapters.postgres import Database
from payonce.adapters.rebuild_tables import SCHEMA, RebuildRefused, drop_tables, make_tables, only_rebuild
from payonce.catalog import topics_read_by
from payonce.ports import PositionMoved, StoreUnavailable
from payonce.settings import StatusProcessorSettings
from services.status_processor.rebuild.rebuilding import Rebuild, refuse_truncated
from services.status_processor.rebuild.refolding import Refolding
from services.status_processor.rebuild.showing import EXAMPLES, show_comparison
from services.status_processor.rebuild.swapping import swap
from services.status_processor.result import PROCESS

#: Sorting or replacing a whole table is one statement.
_STATEMENT_MS = 1_800_000
#: The transaction that keeps other rebuilds away says nothing for as long as the topics take to be read, and of two
#: streams that are compared one waits while the other is sorted.
_IDLE_IN_TRANSACTION_MS = 0


def main() -> int:
    """Run the command; return its exit code."""
    arguments = _arguments()
    console = Console(stderr=False, highlight=False)
    try:
        return asyncio.run(_run(StatusProcessorSettings(), console, replace=arguments.swap, keep=arguments.keep))
    except (RebuildRefused, PositionMoved, StoreUnavailable, LogAway) as refusal:
        console.print(f"[bold red]refused[/]: {refusal}")
        return 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="payonce rebuild", description="Make the tables anew from the topics.")
    parser.add_argument("--swap", action="store_true", help="replace what differs in the live tables (workers stopped)")
    parser.add_argument("--keep", action="store_true", help=f"leave the rebuilt tables in the schema {SCHEMA!r}")
    return parser.parse_args()


async def _run(settings: StatusProcessorSettings, console: Console, *, replace: bool, keep: bool) -> int:
    url = settings.database_url
    live, made = _database(url, pool_size=3), _database(url, pool_size=2, schema=SCHEMA)
    with only_rebuild(live):
        try:
            make_tables(live, url)
            return await _rebuild(settings, console, live, made, replace=replace)
        finally:
            made.dispose()
            if not keep:
                drop_tables(live)


def _database(url: str, *, pool_size: int, schema: str | None = None) -> Database:
    return Database(
        url,
        application_name="payonce rebuild",
        pool_size=pool_size,
        statement_timeout_ms=_STATEMENT_MS,
        idle_in_transaction_ms=_IDLE_IN_TRANSACTION_MS,
        schema=schema,
    )


async def _rebuild(
    settings: StatusProcessorSettings, console: Console, live: Database, made: Database, *, replace: bool
) -> int:
    clock = SystemClock()
    started = clock.monotonic()
    with (
        LogReader(settings.kafka_bootstrap_servers, client_id="payonce-rebuild") as log,
        closing(PostgresFoldStore(made, announces=False)) as store,
        closing(PostgresFoldStore(live)) as live_store,
    ):
        refuse_truncated(log, topics_read_by(PROCESS))
        refolding = Refolding(
            store, log, clock, group=PROCESS, livemode=settings.stripe_livemode, on_progress=_Progress(console)
        )
        rebuild = Rebuild(live, made, refolding, clock)
        compared = await rebuild.compare()
        console.print(f"{refolding.records:,} records folded in {clock.monotonic() - started:.1f} s")
        if dead := sum(refolding.letters.by_topic.values()):
            console.print(f"{dead:,} of them are dead letters, published when they were first read")
        show_comparison(console, compared.comparison, rebuild.details(compared.comparison.differing[:EXAMPLES]))
        if not replace or compared.comparison.equal:
            return 0 if compared.comparison.equal else 1
        announced = await swap(live_store, made, compared)
        console.print(f"replaced: {len(compared.comparison.differing):,} orders, {announced:,} of them are announced")
        return 0


class _Progress:
    """A line now and then: a rebuild of a month takes minutes."""

    _SECONDS = 5.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = time.monotonic()

    def __call__(self, records: int) -> None:
        if time.monotonic() - self._last > self._SECONDS:
            self._last = time.monotonic()
            self._console.print(f"{records:,} records ...")


if __name__ == "__main__":
    sys.exit(main())
