"""Two stores at once, simulated or real, on empty tables. The fixtures are in tests/adapters/conftest.py."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy import create_engine, event, text

from payonce.adapters.postgres import Database
from payonce.ports import (
    FoldStore,
    Ledger,
)
from tests.simulation.database import Database as SimulatedDatabase
from tests.simulation.network import Network
from tests.simulation.scheduler import Incarnation, VirtualLoop

T = TypeVar("T")
Race = Callable[[Callable[[FoldStore, FoldStore], Awaitable[T]]], T]
LedgerRace = Callable[[Callable[[Ledger, Ledger], Awaitable[T]]], T]
TABLES = "payment_order, psp_reference, unresolved_event, fold_position, outbox, psp_registration"
KINDS = ["simulated", pytest.param("postgres", marks=pytest.mark.stack)]


def simulated() -> tuple[VirtualLoop, SimulatedDatabase, list[Incarnation]]:
    loop = VirtualLoop()  # type: ignore[abstract]
    network = Network(loop, random.Random(1))  # noqa: S311
    network.leg = lambda: 0.001  # type: ignore[method-assign]
    database = SimulatedDatabase(network, random.Random(1), 1_800_000_000.0)  # noqa: S311
    return loop, database, [Incarnation(name, loop) for name in ("first", "second")]


def emptied(url: str) -> str:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {TABLES}"))
    engine.dispose()
    return url


def patient(database: Database) -> Database:
    """Let its statements take long: who waits for a lock waits for the other's machine, too, and that may stall."""

    def at_connection(connection: Any, _: object) -> None:  # Any: the driver has no types
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '60s'; SET statement_timeout = '60s'")
        connection.commit()

    event.listen(database._engine, "connect", at_connection)
    return database


async def coroutine(work: Awaitable[T]) -> T:
    return await work
