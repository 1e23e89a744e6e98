"""What a fault is, and all that it may touch."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.simulation.shop import Shop
from tests.simulation.webhook_sender import WebhookSender
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong at a time; `seed` decides its details, whatever else happens."""

    at: float
    kind: str
    seed: int


@dataclass(slots=True)
class Stage:
    """All that a fault may touch."""

    world: World
    shop: Shop
    sender: WebhookSender


Play = Callable[[Stage, random.Random], Awaitable[None]]
