"""The way between a process and what lies outside it: every port call goes out, has its effect there, and comes back.

Each leg takes a seeded time, so two calls may overtake each other. What a killed process had sent may still arrive.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from tests.simulation.scheduler import Incarnation, VirtualLoop

T = TypeVar("T")


class Network:
    """Carries calls. `slow` stretches every leg while it is above 1."""

    def __init__(self, loop: VirtualLoop, rng: random.Random) -> None:
        self.loop = loop
        self.rng = rng
        self.slow = 1.0

    def leg(self) -> float:
        """Return the time of one way: mostly a millisecond or two, now and then a good while."""
        rng = self.rng
        shape = rng.random()
        seconds = 0.0005 + 0.003 * shape if shape < 0.93 else rng.uniform(0.01, 1.5) if shape < 0.995 else 4.0
        return seconds * self.slow

    async def call(self, caller: Incarnation, effect: Callable[[], T], *, out: float | None = None) -> T:
        """Have the effect out there and return, or raise, what comes of it. `out`: the time of the way there."""
        loop = self.loop
        answer = loop.create_future()
        arrives_after_death = self.rng.random() < 0.5
        back = self.leg()

        def arrive() -> None:
            if not caller.is_alive and not arrives_after_death:
                return
            try:
                result = effect()
            except Exception as error:  # noqa: BLE001  (it is the answer)
                loop.later(back, fail, error)
            else:
                loop.later(back, tell, result)

        def tell(result: T) -> None:
            if not answer.done():
                answer.set_result(result)

        def fail(error: Exception) -> None:
            if not answer.done():
                answer.set_exception(error)

        loop.later(self.leg() if out is None else out, arrive)
        result: T = await answer
        return result
