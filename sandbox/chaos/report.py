"""What a chaos run found, and whether it may count as passed. Pure: it only judges and writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sandbox.chaos.faults import DATABASE_RESTARTS, KILLS, Injected, Kind
from sandbox.chaos.recovery import Recovery, longest
from sandbox.demo.summary import Placed, Summary, unsettled
from sandbox.demo.traffic import percentile


@dataclass(frozen=True, slots=True)
class Found:
    """The world as it was when everything had settled, or when the time for that was over."""

    placed: Sequence[Placed]
    statuses: Mapping[str, str]
    sessions_per_order: Mapping[str, int]
    summary: Summary
    gave_up: Sequence[str]
    most_calls_per_second: Mapping[str, int]
    limit_per_endpoint: float
    limit_total: float
    lag: int
    settle_seconds: float
    settled: bool
    verify_exit_code: int
    verify_output: str


@dataclass(frozen=True, slots=True)
class Report:
    """One run: what was done to the world, and what became of it."""

    seed: int
    minutes: float
    injected: Sequence[Injected]
    planned: int
    copies: int
    ends: Mapping[tuple[str, int], int]
    left_out: Sequence[str]
    recoveries: Sequence[Recovery]
    accepted_seconds: Sequence[float]
    page_seconds: Sequence[float]
    found: Found

    @property
    def lost(self) -> list[str]:
        """Orders that were accepted and that PostgreSQL does not know."""
        return [order.order_id for order in self.found.placed if order.order_id not in self.found.statuses]

    @property
    def wrong(self) -> list[str]:
        """Orders that are known, but not in the status that their customer's doings lead to."""
        known = [order for order in self.found.placed if order.order_id in self.found.statuses]
        return [
            f"{order.order_id} ({order.behaviour.value}) is {self.found.statuses[order.order_id]}"
            for order in unsettled(known, self.found.statuses)
        ]

    @property
    def doubled(self) -> list[str]:
        """Orders with more than one session at the PSP: sessions never vanish there, so there never were two."""
        return [order for order, count in self.found.sessions_per_order.items() if count > 1]

    @property
    def kills(self) -> Counter[str]:
        """How often each process was killed."""
        return Counter(each.fault.target for each in self.injected if each.fault.kind in KILLS)

    @property
    def database_restarts(self) -> int:
        """How often PostgreSQL was killed or stopped."""
        return sum(1 for each in self.injected if each.fault.kind in DATABASE_RESTARTS)

    @property
    def violations(self) -> tuple[str, ...]:
        """Everything that must not be; empty is a run that passed."""
        return tuple(_violations(self))


def _violations(report: Report) -> Iterator[str]:
    found = report.found
    for name, orders in (("lost", report.lost), ("wrong", report.wrong), ("doubled", report.doubled)):
        if orders:
            yield f"{len(orders)} orders {name}: {', '.join(orders[:10])}"
    for line in found.summary.money:
        if not line.equal:
            yield f"{line.currency}: paid {line.expected}, recorded {line.recorded}, announced {line.analysed}"
    for endpoint, count in found.most_calls_per_second.items():
        limit = found.limit_total if endpoint == "total" else found.limit_per_endpoint
        if count > limit:
            yield f"{count} calls of {endpoint} in one second; the limit is {limit:g}"
    if found.gave_up:
        yield f"{len(found.gave_up)} customers gave up, first: {found.gave_up[0]}"
    if not found.settled:
        yield f"not settled after {found.settle_seconds:.0f} s; lag {found.lag}"
    if found.verify_exit_code:
        yield f"payonce verify ended with {found.verify_exit_code}"


def as_text(report: Report) -> str:
    """Return the report as lines of text, the verdict last."""
    return "\n".join([*_done(report), "", *_became(report), "", *_verdict(report)])


def _done(report: Report) -> Iterator[str]:
    yield f"chaos run of {report.minutes:g} minutes, seed {report.seed}"
    yield f"faults injected: {len(report.injected)} of {report.planned} planned"
    by_kind = Counter(each.fault.kind for each in report.injected)
    for kind in Kind:
        if by_kind[kind]:
            yield f"  {by_kind[kind]:4}  {kind.value}{_slowest(report, kind)}"
    yield f"kills: {sum(report.kills.values())}; PostgreSQL restarts: {report.database_restarts}"
    for process, count in sorted(report.kills.items()):
        yield f"  {count:4}  {process}"
    for (process, code), count in sorted(report.ends.items()):
        yield f"  {count:4}  {process} ended by itself with exit code {code} and was started again"
    yield f"records published again: {report.copies}"
    yield from (f"left out: {reason}" for reason in report.left_out)


def _slowest(report: Report, kind: Kind) -> str:
    times = [each.from_start for each in report.recoveries if each.injected.fault.kind is kind]
    known = [seconds for seconds in times if seconds is not None]
    return f"; at most {max(known):.1f} s until an order placed after its beginning was paid" if known else ""


def _became(report: Report) -> Iterator[str]:
    found = report.found
    counts = {"lost": report.lost, "doubled": report.doubled, "wrong": report.wrong}
    yield ", ".join([f"orders {len(found.placed)}", *(f"{name} {len(orders)}" for name, orders in counts.items())])
    for line in found.summary.money:
        yield f"  {line.currency}: paid {line.expected}, recorded {line.recorded}, announced {line.analysed}"
    calls = ", ".join(f"{name} {count}" for name, count in sorted(found.most_calls_per_second.items()))
    limits = f"{found.limit_per_endpoint:g} per endpoint, {found.limit_total:g} in total"
    yield f"most calls to the PSP in one second: {calls} (limits: {limits})"
    yield f"order accepted p50 / p99: {_pair(report.accepted_seconds)}; hosted page shown: {_pair(report.page_seconds)}"
    if worst := longest(report.recoveries):
        yield f"longest recovery: {worst.from_end:.1f} s after {worst.injected.fault}"
    yield f"after the last customer: settled in {found.settle_seconds:.1f} s, lag {found.lag}"
    yield f"payonce verify: exit code {found.verify_exit_code}"
    yield from (f"  {line}" for line in found.verify_output.splitlines())


def _verdict(report: Report) -> Iterator[str]:
    yield from (f"VIOLATION: {each}" for each in report.violations)
    yield "passed" if not report.violations else "FAILED"


def _pair(seconds: Sequence[float]) -> str:
    values = list(seconds)
    return f"{percentile(values, 0.5):.2f} / {percentile(values, 0.99):.2f} s, at most {max(values, default=0.0):.1f} s"
