"""What a link does to the bytes that pass: pure values, decided before anything flows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weather:
    """`latency_seconds` is added to every piece and way; a silent link holds everything back until it is over."""

    latency_seconds: float = 0.0
    bytes_per_second: float | None = None
    silent: bool = False

    def delay(self, size: int) -> float:
        """Return how many seconds a piece of `size` bytes is held back."""
        return self.latency_seconds + (size / self.bytes_per_second if self.bytes_per_second else 0.0)


CLEAR = Weather()
SILENT = Weather(silent=True)
