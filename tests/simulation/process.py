"""An incarnation of a process of payonce with its parts, and what all of them agree upon."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from payonce.ports import PositionMoved
from services.checkout_api.clients import Client
from services.checkout_api.links import Links
from services.psp_worker.exits import LedgerContradicted
from services.status_processor.succession import RecordsPassedOver
from tests.simulation.dice import dice
from tests.simulation.log import SimulatedProducer
from tests.simulation.scheduler import Incarnation, LoopClock

if TYPE_CHECKING:
    from tests.simulation.world import World

LIMIT_PER_SECOND = 5.0
#: The reconciler's part of it.
RECONCILER_PER_SECOND = 0.5
#: So long an event may take on its usual way before the reconciler fetches it.
GRACE_SECONDS = 120
API_VERSION = "2026-10-28.endive"
LINKS = Links("https://pay.example", (b"link-secret",))
SHOP = Client("shop", "shop", frozenset({"https://shop.example"}), 1000.0, b"return-secret")
SESSION_LIFETIME_SECONDS = 82_500
#: How a process may end by itself; anything else is a bug.
EXPECTED_ENDS = (PositionMoved, RecordsPassedOver, LedgerContradicted, TimeoutError)


class Process:
    """One incarnation with its parts. `begin` runs inside it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.owner = Incarnation(name, world.loop)
        self.clock = LoopClock(world.loop, world.epoch)
        self.clock.skew = world.skews.get(name, 0.0)
        self.rng = dice(world.rng.random())
        self.owner.on_death.append(lambda: world.database.hang_up(self.owner))

    def start(self) -> None:
        """Begin to live."""
        self.owner.start(self._begin())

    async def stop(self) -> None:
        """End in order (SIGTERM). Runs inside the incarnation."""

    def fall_silent(self) -> None:
        """Send no more heartbeats, by death or by frost."""

    async def _begin(self) -> None:
        raise NotImplementedError

    def _failed(self, error: BaseException) -> None:
        """The process cannot go on and ends as it stands."""
        if self.owner.state == "running":
            self.world.ended(self, error)

    def _producer(self) -> SimulatedProducer:
        world = self.world
        return SimulatedProducer(world.log, world.network, self.rng, world.publishing, self.owner)

    def _watch(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run work whose failure ends the process."""

        def over(task: asyncio.Task[Any]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._failed(error)

        asyncio.get_running_loop().create_task(work).add_done_callback(over)
