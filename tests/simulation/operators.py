"""People who look at the dead letters: they replay them, once, twice, at once or a day later, or discard them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Response

from payonce.ports import StoreUnavailable
from payonce.ports.ops import Letter, LetterFilter
from services.ops_console.dependencies import Dependencies
from services.ops_console.letters_api import discard_dead_letter
from services.ops_console.operators import Operator
from services.ops_console.payloads import FilterRequest, ReplayRequest, WhyRequest
from services.ops_console.refusals import Refused
from services.ops_console.replays_api import replay_dead_letters
from tests.simulation.world import Unanswered, World

T = TypeVar("T")
_OLGA = Operator("olga", "Olga", frozenset({"viewer", "operator"}))
_WHY = "a simulation"


class Operators:
    """Operators at one console. Whatever they ask for is asked again until it is answered or refused."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng

    async def clear_up(self) -> None:
        """Look at the letters several times; do something about those that are there."""
        for _ in range(self._rng.choice((1, 2, 3))):
            self._world.stir()
            await asyncio.sleep(self._rng.uniform(10.0, 60.0))
            letters = await self._asked(_open_letters) or []
            if letters and self._rng.random() < 0.2:
                await self._discard(self._rng.choice(letters))
            elif letters:
                await asyncio.gather(*(self._replay(letters) for _ in range(self._rng.choice((1, 1, 2)))))
            await asyncio.sleep(self._rng.choice((0.0, 60.0, 110_000.0)) * self._rng.random())

    async def _replay(self, letters: list[Letter]) -> None:
        """Replay all that is open, or some by name, whatever has been done about them."""
        some = [letter.letter_id for letter in letters if self._rng.random() < 0.7]
        request = (
            ReplayRequest(filter=FilterRequest(), why=_WHY)
            if self._rng.random() < 0.5 or not some
            else ReplayRequest(ids=some, why=_WHY)
        )
        await self._asked(lambda parts: replay_dead_letters(request, _OLGA, parts, Response()))

    async def _discard(self, letter: Letter) -> None:
        request = WhyRequest(why=_WHY)
        await self._asked(lambda parts: discard_dead_letter(letter.letter_id, request, _OLGA, parts))

    async def _asked(self, question: Callable[[Dependencies], Awaitable[T]]) -> T | None:
        """Return the answer; None if it is a refusal, or never comes."""
        for _ in range(20):
            try:
                return await self._world.ask("ops", lambda parts: _as_coroutine(question(parts)))
            except Refused:
                return None
            except (Unanswered, StoreUnavailable):
                await asyncio.sleep(self._rng.uniform(1.0, 20.0))
        return None


async def _open_letters(parts: Dependencies) -> list[Letter]:
    return list(await parts.store.run(lambda tx: tx.letters(LetterFilter(), limit=50)))


async def _as_coroutine(answer: Awaitable[T]) -> T:
    return await answer
