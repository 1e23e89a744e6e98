"""How fast replays go, and how long they take. Pure.

Only commands make psp_worker call the PSP: they keep within the share that live payments do not need. The rest costs
the fold alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from payonce.catalog import topic_of

#: Far below what one status_processor folds per second, so that live events never wait for replays.
OTHERS_PER_SECOND = 200.0
_COMMANDS = topic_of("RegisterPayment")


@dataclass(frozen=True, slots=True)
class ReplayPace:
    """Records per second: `commands` is the PSP's lower share."""

    commands: float
    others: float = OTHERS_PER_SECOND

    def seconds_after(self, topic: str) -> float:
        """Return how long to wait after sending to this topic."""
        return 1 / (self.commands if topic == _COMMANDS else self.others)

    def eta_seconds(self, commands: int, others: int) -> int:
        """Return how long so many records take, rounded up."""
        return math.ceil(commands / self.commands + others / self.others)
