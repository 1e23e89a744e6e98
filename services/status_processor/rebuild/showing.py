"""What ops see of a rebuild. Secrets and payment links are named as different, never shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
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
            is_now, should_be = _rows_apart(ours, theirs) if isinstance(ours, tuple) else (ours, theirs)
            table.add_row(each.order_id, each.kind, name, _shown(name, is_now), _shown(name, should_be))
    console.print(table)


def _rows_apart(ours: Sequence[Any], theirs: Sequence[Any]) -> tuple[str, str]:
    """Return the movements or invoices that only one side has, each as its values."""
    return _told(each for each in ours if each not in theirs), _told(each for each in theirs if each not in ours)


def _told(rows: Iterable[Any]) -> str:
    return "; ".join(" ".join(str(value) for value in astuple(row) if value is not None) for row in rows)


def _shown(name: str, value: Any) -> str:
    if name in _NEVER_SHOWN:
        return "" if value is None else "(not shown)"
    text = "" if value is None else str(value)
    return escape(text if len(text) <= _WIDEST else f"{text[:_WIDEST]}...")
