"""What can be set about webhooks while the simulator runs: the endpoint, and what goes wrong on the way to it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.stripe_simulator.config import Config


@dataclass(slots=True)
class WebhookOptions:
    """The endpoint and its faults. Probabilities lie in 0..1 and are drawn per event."""

    url: str | None
    secrets: list[str]
    enabled_events: list[str]
    paused: bool = False  # everything waits until a release
    duplicate_probability: float = 0.0  # the same event is sent twice
    twin_probability: float = 0.0  # one happening makes two events with different ids
    drop_probability: float = 0.0  # the event exists, but is never sent
    drop_types: list[str] = field(default_factory=list)
    never_generate: list[str] = field(default_factory=list)  # the event is missing from List Events too
    delay_seconds: float = 0.0
    delay_jitter_seconds: float = 0.0
    hold: int = 0  # keep so many events back, then send them shuffled
    hold_seconds: float = 2.0  # the longest that the first of them waits

    def change(self, changes: dict[str, Any]) -> None:  # Any: JSON
        """Set options from JSON. Raises ValueError, changing nothing, for an unknown name or a wrong type."""
        known = {option.name for option in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown option {name}; known are {', '.join(sorted(known))}")
            if not _fits(name, value, getattr(self, name)):
                raise ValueError(f"option {name} cannot be {value!r}")
        for name, value in changes.items():
            setattr(self, name, value)


def _fits(name: str, value: Any, present: Any) -> bool:  # Any: JSON
    if name == "url":
        return value is None or (isinstance(value, str) and value.startswith("http"))
    if isinstance(present, list):
        return isinstance(value, list) and all(isinstance(element, str) for element in value)
    if isinstance(present, bool):
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return False
    return value <= 1 if name.endswith("_probability") else True


def options_of(config: Config) -> WebhookOptions:
    """Start from the settings, without faults."""
    return WebhookOptions(config.webhook_url, list(config.webhook_secrets), sorted(config.enabled_events))
