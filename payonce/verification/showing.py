"""A verification as people and programs read it."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from payonce.verification.findings import Report


def show(console: Console, report: Report) -> None:
    """Print a table: guarantee, what was checked, violations, examples."""
    table = Table("", "guarantee", "checked", "violations", "examples", box=None, pad_edge=False)
    for each in sorted(report.checks, key=lambda check: check.guarantee):
        examples = [escape(f"{finding.subject}: {finding.detail}") for finding in each.examples]
        notes = [f"[dim]{escape(each.note)}[/]"] if each.note else []
        colour = "red" if each.violations else "green"
        table.add_row(
            str(each.guarantee),
            each.name,
            f"{each.checked:,}",
            f"[{colour}]{each.violations:,}[/]",
            "\n".join(examples + notes),
        )
    console.print(table)
    console.print(verdict(report), highlight=False)


def verdict(report: Report) -> str:
    """Return the whole in one line."""
    checked = sum(check.checked for check in report.checks)
    return (
        f"guarantees verified: {len(report.checks)} checks, {report.violations:,} violations "
        f"({checked:,} looked at in {report.seconds:.1f} s)"
    )


def as_json(report: Report) -> str:
    """Return the whole as JSON."""
    return json.dumps(
        {"violations": report.violations, "seconds": report.seconds, "checks": [asdict(each) for each in report.checks]}
    )
