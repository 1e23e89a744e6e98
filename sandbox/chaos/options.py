"""How large a chaos run is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ChaosOptions:
    """`rate_limit` is the PSP's, per endpoint and second; customers reload and wait."""

    minutes: float = 10.0
    seed: int = 1
    brokers: Literal[1, 3] = 3
    orders_per_second: float = 10.0
    rate_limit: float = 60.0
    psp_workers: int = 2
    status_processors: int = 2
    patience_seconds: float = 300.0
    reload_seconds: float = 3.0
    settle_seconds: float = 300.0
    disk_mb: int = 640
    logs: Path | None = None

    @property
    def run_seconds(self) -> float:
        """How long orders are placed."""
        return self.minutes * 60.0

    @property
    def orders(self) -> int:
        """How many are placed."""
        return round(self.run_seconds * self.orders_per_second)
