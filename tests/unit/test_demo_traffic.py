"""The demo's traffic on a slow machine: an answer that is lost is asked for again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from sandbox.demo.browser import PageMissing
from sandbox.demo.traffic import Traffic
from sandbox.world import Addresses

ADDRESSES = SimpleNamespace(simulator_url="http://psp")
LOST = (aiohttp.ServerDisconnectedError(), aiohttp.ClientOSError("reset by peer"), TimeoutError())


@dataclass
class Answer:
    status: int

    async def text(self) -> str:
        return "its reason"


class Simulator:
    """Fails and answers in the given order."""

    def __init__(self, *script: int | Exception) -> None:
        self._script = iter(script)

    @asynccontextmanager
    async def post(self, _url: str, **_: Any) -> AsyncIterator[Answer]:
        said = next(self._script)
        if isinstance(said, Exception):
            raise said
        yield Answer(said)


def expire(simulator: Simulator, *, patience_seconds: float = 20) -> Coroutine[Any, Any, None]:
    customers = Traffic(1, patience_seconds=patience_seconds, reload_seconds=0)
    http, addresses = cast("aiohttp.ClientSession", simulator), cast("Addresses", ADDRESSES)
    return customers._let_it_expire(http, addresses, "http://psp/c/pay/cs_1")


@pytest.mark.parametrize("answer", [200, 409], ids=["the request was lost", "only its answer was lost"])
@pytest.mark.parametrize("lost", LOST, ids=lambda error: type(error).__name__)
async def test_a_session_expires_although_an_answer_is_lost(lost: Exception, answer: int) -> None:
    await expire(Simulator(lost, lost, answer))


async def test_a_session_that_could_not_expire_is_told() -> None:
    """Somebody has paid it: nothing was lost, and the state forbids it."""
    with pytest.raises(PageMissing, match="409 its reason"):
        await expire(Simulator(409))


async def test_a_simulator_that_never_answers_ends_the_customers_patience() -> None:
    with pytest.raises(PageMissing, match="did not answer"):
        await expire(Simulator(TimeoutError()), patience_seconds=-1)
