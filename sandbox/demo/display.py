"""What a person sees of the demo: live progress, then the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sandbox.demo.summary import Summary
from sandbox.demo.traffic import Traffic, percentile


def progress(traffic: Traffic, statuses: Mapping[str, str], topics: Mapping[str, int]) -> RenderableType:
    """Return the live picture: orders by status, events per topic, latency."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("orders by status")
    table.add_column("records per topic")
    table.add_column("latency p50 / p99")
    by_status = "\n".join(f"{count:5}  {name}" for name, count in sorted(Counter(statuses.values()).items()))
    by_topic = "\n".join(f"{count:5}  {name}" for name, count in topics.items())
    latency = f"order accepted  {_pair(traffic.accepted_seconds)}\npage shown      {_pair(traffic.page_seconds)}"
    table.add_row(by_status, by_topic, latency)
    return Group(Text(f"{len(traffic.placed)} of {traffic.wanted} orders placed", style="bold"), table)


def one_line(traffic: Traffic, statuses: Mapping[str, str], topics: Mapping[str, int]) -> str:
    """Return the same for a log: one line."""
    by_status = ", ".join(f"{count} {name}" for name, count in sorted(Counter(statuses.values()).items()))
    records = sum(topics.values())
    return f"{len(traffic.placed)}/{traffic.wanted} placed; {by_status or 'none stored yet'}; {records} records"


class Progress:
    """Shows progress in place on a terminal, as lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._last = ""

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, traffic: Traffic, statuses: Mapping[str, str], topics: Mapping[str, int]) -> None:
        """Show how it stands; an unchanged line is not printed again."""
        if self._live:
            self._live.update(progress(traffic, statuses, topics))
        elif (line := one_line(traffic, statuses, topics)) != self._last:
            self._console.print(line, highlight=False)
            self._last = line


def render(summary: Summary, traffic: Traffic) -> RenderableType:
    """Return the summary: every line ends in equal or DIFFERENT."""
    customers = Table(title="what each customer did, and what payment_order_status says", title_justify="left")
    for heading in ("customer", "orders", "must be", "is", ""):
        customers.add_column(heading, justify="right" if heading == "orders" else "left")
    for line in summary.behaviours:
        found = ", ".join(f"{count} {status}" for status, count in sorted(line.found.items()))
        customers.add_row(line.behaviour.value, str(line.orders), line.expected, found, _verdict(equal=line.equal))
    money = Table(title="money received, in minor units", title_justify="left")
    for heading in ("currency", "customers paid", "PostgreSQL", "analytics (payments.status)", ""):
        money.add_column(heading, justify="left" if heading in ("currency", "") else "right")
    for each in summary.money:
        sums = (f"{each.expected:,}", f"{each.recorded:,}", f"{each.analysed:,}")
        money.add_row(each.currency, *sums, _verdict(equal=each.equal))
    sessions = Text(f"orders with more than one session at the PSP: {summary.sessions_doubled}  ")
    sessions.append(_verdict(equal=summary.sessions_doubled == 0))
    latency = Text(
        f"order accepted p50 / p99: {_pair(traffic.accepted_seconds)}; hosted page shown: {_pair(traffic.page_seconds)}"
    )
    return Group(customers, money, sessions, latency)


def _verdict(*, equal: bool) -> Text:
    return Text("equal", style="green") if equal else Text("DIFFERENT", style="bold red")


def _pair(seconds: list[float]) -> str:
    return f"{percentile(seconds, 0.5) * 1000:.0f} / {percentile(seconds, 0.99) * 1000:.0f} ms"
