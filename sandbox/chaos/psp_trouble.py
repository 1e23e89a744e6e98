"""The PSP's bad days, through the simulator's control door. Each lasts, and is gone when its call returns."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any

from sandbox.stripe_simulator.control_client import Control

_RULE = Mapping[str, Any]  # Any: JSON

#: An outage changes its face: connections break, errors, a proxy's page, no answer within our timeout.
_OUTAGE: tuple[_RULE, ...] = (
    {"kind": "reset_before"},
    {"kind": "status_500_unsaved"},
    {"kind": "html_502"},
    {"kind": "latency", "latency_ms": 20_000},
)
_FACE_SECONDS = 5.0
_STORM: tuple[_RULE, ...] = (
    {"kind": "rate_limit_429", "probability": 0.6},
    {"kind": "lock_timeout_429", "probability": 0.3},
)
#: The call did its work, and its answer never came: the one case in which asking again could cost money.
_TRICKS: tuple[_RULE, ...] = (
    {"kind": "reset_after_commit", "probability": 0.25},
    {"kind": "truncated_body", "probability": 0.25},
    {"kind": "status_500_after_commit", "probability": 0.1},
)
_TRICKY_WEBHOOKS = {"duplicate_probability": 0.5, "twin_probability": 0.2, "drop_probability": 0.1, "hold": 8}
_PLAIN_WEBHOOKS = dict.fromkeys(("duplicate_probability", "twin_probability", "drop_probability"), 0.0) | {"hold": 0}


class PspTrouble:
    """Blocking. Not for two threads at once: it clears all fault rules."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def outage(self, seconds: float) -> None:
        """Every call fails, each few seconds in another way."""
        ends = time.monotonic() + seconds
        for face in itertools.cycle(_OUTAGE):
            left = ends - time.monotonic()
            if left <= 0:
                return
            self._rules((face,), min(left, _FACE_SECONDS))

    def storm(self, seconds: float) -> None:
        """Most calls are refused for being too many."""
        self._rules(_STORM, seconds)

    def tricks(self, seconds: float) -> None:
        """Many calls do their work and lose their answer."""
        self._rules(_TRICKS, seconds)

    def webhook_tricks(self, seconds: float) -> None:
        """Webhooks come twice, with twins, in another order, or never: those only the reconciler can find."""
        self._control.set_webhooks(**_TRICKY_WEBHOOKS)
        try:
            time.sleep(seconds)
        finally:
            self._calm_webhooks()

    def calm(self) -> None:
        """No fault rule, plain webhooks, nothing held back. Idempotent."""
        self._control.clear_faults()
        self._calm_webhooks()

    def _rules(self, rules: tuple[_RULE, ...], seconds: float) -> None:
        for rule in rules:
            self._control.add_fault(**rule)
        try:
            time.sleep(seconds)
        finally:
            self._control.clear_faults()

    def _calm_webhooks(self) -> None:
        self._control.set_webhooks(**_PLAIN_WEBHOOKS)
        self._control.release_webhooks()
