"""`payonce recompute`: recompute every order's status from its stored facts after a change of rules.

Exit codes: 0 done, 2 PostgreSQL was away (run it again: what is written stays).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import closing

from rich.console import Console

from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.postgres import Database
from payonce.ports import StoreUnavailable
from payonce.settings import DatabaseSettings
from services.status_processor.rebuild.showing import show_differences
from services.status_processor.recomputing import Recomputed, foresee, recompute

#: The first row of a sorted stream comes when all are sorted.
_STATEMENT_MS = 600_000


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="payonce recompute", description="Recompute all statuses from stored facts.")
    parser.add_argument("--dry-run", action="store_true", help="count and show what would change, write nothing")
    dry_run = parser.parse_args().dry_run
    console = Console(highlight=False)
    database = Database(
        DatabaseSettings().database_url, application_name="payonce recompute", statement_timeout_ms=_STATEMENT_MS
    )
    try:
        with closing(PostgresFoldStore(database)) as store:
            result = foresee(database) if dry_run else asyncio.run(recompute(store))
    except StoreUnavailable as error:
        console.print(f"[bold red]PostgreSQL is away[/]: {error}")
        return 2
    _show(console, result, dry_run=dry_run)
    return 0


def _show(console: Console, result: Recomputed, *, dry_run: bool) -> None:
    would = "would change" if dry_run else "changed"
    console.print(f"{result.orders:,} orders recomputed, {result.changed:,} {would}")
    for (was, now), count in result.statuses.most_common():
        console.print(f"{count:7,}  {was} -> {now}")
    for name, count in result.by_column.most_common():
        console.print(f"{count:7,}  {name}")
    if not dry_run:
        console.print(f"{result.announced:,} announced")
    if result.examples:
        show_differences(console, result.examples)


if __name__ == "__main__":
    sys.exit(main())
