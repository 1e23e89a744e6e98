"""Stripe's webhook sender: signed events to the API, late, twice, out of order, again until they are answered 200.

It may give an event up for ever, as after three days, or send none while the endpoint is disabled: then only the
reconciler can bring it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from services.checkout_api.dependencies import Dependencies
from services.checkout_api.webhooks import PATH, WebhookDoor
from tests.simulation.dice import dice
from tests.simulation.psp_account import Happening
from tests.simulation.world import Unanswered, World

_DAY = 86_400.0


class WebhookSender:
    """Delivers every event of a run."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._rng = dice(f"{seed} webhooks")
        self.storm = 0.0  # the probability of more deliveries than needed
        self.given_up = 0.0  # the probability that an event is never delivered, though it should have been
        self.disabled = 0.0  # the probability that an event is meant for no endpoint at all
        self.thanked: dict[str, None] = {}  # events that were answered 200
        self._tasks: list[asyncio.Task[None]] = []
        world.psp.on_event = self._send

    @property
    def is_busy(self) -> bool:
        """Whether an event is still to be delivered."""
        return any(not task.done() for task in self._tasks)

    async def done(self) -> None:
        """Return when every event has been delivered."""
        while self._tasks:
            tasks, self._tasks = self._tasks, []
            await asyncio.gather(*tasks)

    def _send(self, happening: Happening) -> None:
        self._world.news.happened(happening)
        if self._rng.random() < self.disabled:
            self._world.news.never_sent(happening)
            return
        self._world.psp.undelivered[happening.event_id] = None
        if self._rng.random() < self.given_up:
            self._world.news.never_sent(happening)
            return
        copies = 1
        while self._rng.random() < max(0.08, self.storm) and copies < 5:
            copies += 1
        for _ in range(copies):
            self._tasks.append(self._world.loop.create_task(self._deliver(happening)))

    def _delay(self) -> float:
        rng = self._rng
        scale = rng.random()
        if scale < 0.75:
            return rng.uniform(0.0, 2.0)
        if scale < 0.93:
            return rng.uniform(0.0, 600.0)
        return rng.uniform(0.0, 0.3 * _DAY) if scale < 0.98 else rng.uniform(0.0, 2.5 * _DAY)

    async def _deliver(self, happening: Happening) -> None:
        await asyncio.sleep(self._delay())
        pause = 5.0
        while True:
            if await self._post(happening.body) == 200:
                self.thanked[happening.event_id] = None
                self._world.psp.undelivered.pop(happening.event_id, None)
                return
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1.5))
            pause = min(pause * 6, 0.5 * _DAY)

    async def _post(self, body: bytes) -> int:
        try:
            return await self._world.request(lambda parts: _received(parts, body))
        except Unanswered:
            return 0


async def _received(parts: Dependencies, body: bytes) -> int:
    scope = {"type": "http", "path": PATH, "method": "POST", "headers": [(b"stripe-signature", b"valid")]}
    answer: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.append(message["status"])

    await WebhookDoor(_nothing, parts)(scope, receive, send)
    return answer[0]


async def _nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    raise AssertionError("the door is in front")
