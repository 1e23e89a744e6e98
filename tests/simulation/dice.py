"""Dice from a seed: everything random of a run comes from here."""

from __future__ import annotations

import random


def dice(seed: str | float) -> random.Random:
    """Return dice that always fall alike for this seed, whatever PYTHONHASHSEED says."""
    return random.Random(seed)  # noqa: S311  (to be repeatable is the point)
