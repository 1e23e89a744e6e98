"""Billing periods by the calendar: the same day of the month as the anchor, or the last when there is none."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}
# Three years at most, in each interval.
COUNT_MAX = {"day": 1095, "week": 156, "month": 36, "year": 3}


@dataclass(frozen=True, slots=True)
class Recurring:
    """How often something is billed: every `count` days, weeks, months or years."""

    interval: str
    count: int

    def after(self, anchor: int, cycles: int) -> int:
        """Say when cycle number `cycles` begins, counted from the anchor: no drift after a short month."""
        start, steps = datetime.fromtimestamp(anchor, UTC), cycles * self.count
        if self.interval in _DAYS:
            return int((start + timedelta(days=steps * _DAYS[self.interval])).timestamp())
        months = start.year * 12 + start.month - 1 + steps * _MONTHS[self.interval]
        year, month = months // 12, months % 12 + 1
        day = min(start.day, calendar.monthrange(year, month)[1])
        return int(start.replace(year=year, month=month, day=day).timestamp())

    def __str__(self) -> str:
        return self.interval if self.count == 1 else f"{self.count} {self.interval}s"
