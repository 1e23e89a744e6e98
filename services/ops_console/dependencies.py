"""Everything the console works with, handed in once. `__main__` fills it with the real parts, tests with fakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request

from payonce.ports import Clock
from payonce.ports.ops import OpsStore
from services.ops_console.amending import Rules
from services.ops_console.operators import Operators
from services.ops_console.pacing import ReplayPace


class OperatorsSource(Protocol):
    """Knows the operators as they are declared now."""

    def current(self) -> Operators:
        """Return the operators. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The parts. `new_id` draws ids of replays; `is_reading` says whether the dead-letter topics are being read."""

    store: OpsStore
    clock: Clock
    operators: OperatorsSource
    pace: ReplayPace
    lifetime_seconds: int
    link_secret: bytes | None
    new_id: Callable[[], str]
    is_reading: Callable[[], bool]

    def rules(self) -> Rules:
        """Return what plans depend on now."""
        return Rules(self.clock.now(), self.lifetime_seconds, self.link_secret)

    def now(self) -> datetime:
        """Return aware UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC)


async def _of_application(request: Request) -> Dependencies:
    dependencies: Dependencies = request.app.state.dependencies
    return dependencies


Parts = Annotated[Dependencies, Depends(_of_application)]
