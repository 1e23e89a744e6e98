"""What ops see of a rebuild. Secrets and payment links are named as different, never shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.status_processor.rebuild.comparing import Comparison, Difference

EXAMPLES = 20
_NEVER_SHOWN = frozenset({"client_secret", "hosted_page_url", "facts"})
_WIDEST = 40


def show_comparison(console: Console, comparison: Comparison, examples: Sequence[Difference]) -> None:
    """Print the verdict and the examples."""
    if comparison.equal:
        console.print(f"[green]equal[/]: {comparison.orders:,} orders are as the topics tell them")
        return
    console.print(
        f"[bold red]different[/]: of {comparison.orders:,} orders {len(comparison.changed):,} are changed, "
        f"{len(comparison.surplus):,} are named by no record; {len(comparison.missing):,} are missing; "
        f"{len(comparison.references):,} PSP ids differ"
    )
    show_differences(console, examples)
    if (rest := len(comparison.differing) - len(examples)) > 0:
        console.print(f"and {rest:,} more orders")


def show_differences(console: Console, examples: Sequence[Difference]) -> None:
    """Print one line per order and column."""
    table = Table("order", "difference", "column", "is", "should be", box=None, pad_edge=False)
    for each in examples:
        if not each.columns:
            table.add_row(each.order_id, each.kind, "", "", "")
        for name, (ours, theirs) in each.columns.items():
            table.add_row(each.order_id, each.kind, name, _shown(name, ours), _shown(name, theirs))
    console.print(table)


def _shown(name: str, value: Any) -> str:
    if name in _NEVER_SHOWN:
        return "" if value is None else "(not shown)"
    text = "" if value is None else str(value)
    return escape(text if len(text) <= _WIDEST else f"{text[:_WIDEST]}...")
