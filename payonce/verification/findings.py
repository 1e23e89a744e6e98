"""What a check says: how much it looked at, what it found, and a few examples. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: Enough to start looking; the number of violations is counted in full.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation: what it is about (an order, a record, a row), and what is wrong with it."""

    subject: str
    detail: str


@dataclass(slots=True)
class Check:
    """One guarantee seen from one side. `guarantee` is its number in docs/guarantees.md."""

    guarantee: int
    name: str
    checked: int = 0
    violations: int = 0
    examples: list[Finding] = field(default_factory=list)
    #: What was seen beside violations and is no violation, or why nothing could be seen.
    note: str = ""

    def add(self, checked: int, findings: Iterable[Finding] = ()) -> None:
        """Count what was looked at, and what was found."""
        self.checked += checked
        for finding in findings:
            self.violations += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(finding)


@dataclass(frozen=True, slots=True)
class Report:
    """A finished verification."""

    checks: Sequence[Check]
    seconds: float

    @property
    def violations(self) -> int:
        """How many there are in all."""
        return sum(check.violations for check in self.checks)
