"""What every property test begins with."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def test_no_property_is_refuted_by_a_slow_machine() -> None:
    """One stall of the scheduler within one example would be a DeadlineExceeded."""
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check
