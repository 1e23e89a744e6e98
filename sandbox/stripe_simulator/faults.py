"""Injected faults: rules that say which calls go wrong, and how."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random


class Fault(Enum):
    """The ways a call can go wrong. "Saved" answers are kept by the idempotency layer and replayed."""

    LATENCY = "latency"
    STATUS_500_SAVED = "status_500_saved"
    STATUS_500_AFTER_COMMIT = "status_500_after_commit"
    STATUS_500_UNSAVED = "status_500_unsaved"
    HTML_502 = "html_502"
    RESET_BEFORE = "reset_before"
    RESET_AFTER_COMMIT = "reset_after_commit"
    TRUNCATED_BODY = "truncated_body"
    RATE_LIMIT_429 = "rate_limit_429"
    LOCK_TIMEOUT_429 = "lock_timeout_429"
    UNAUTHORIZED_401 = "unauthorized_401"


@dataclass(slots=True)
class Rule:
    """One fault for the calls it matches, at most `times` times (None: without end) after letting `skip` pass."""

    kind: Fault
    operation: str = "*"  # a name or a pattern such as checkout.sessions.*
    idempotency_key: str = ""  # text that the call's key must contain
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    latency_ms: float = 0.0
    should_retry: bool | None = None  # Stripe-Should-Retry of an injected 500

    def matches(self, operation: str, key: str) -> bool:
        return self.times != 0 and fnmatchcase(operation, self.operation) and self.idempotency_key in key


class Faults:
    """The rules in force; the first that matches and whose chance is drawn decides a call."""

    def __init__(self, random_source: random.Random) -> None:
        self._random = random_source
        self.rules: list[Rule] = []
        self.injected: dict[str, int] = {}

    def add(self, description: dict[str, Any]) -> Rule:  # Any: JSON
        """Add a rule from its JSON. Raises ValueError or TypeError for what is no rule."""
        rule = Rule(**{**description, "kind": Fault(description.get("kind"))})
        if not 0 <= rule.probability <= 1 or rule.skip < 0 or rule.latency_ms < 0:
            raise ValueError("probability lies in 0..1; skip and latency_ms are not negative")
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        self.rules.clear()

    def draw(self, operation: str, key: str) -> Rule | None:
        for rule in self.rules:
            if not rule.matches(operation, key):
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if rule.probability < 1 and self._random.random() >= rule.probability:
                continue
            if rule.times is not None:
                rule.times -= 1
            self.injected[rule.kind.value] = self.injected.get(rule.kind.value, 0) + 1
            return rule
        return None

    def describe(self) -> list[dict[str, Any]]:  # Any: JSON
        return [{**asdict(rule), "kind": rule.kind.value} for rule in self.rules]
