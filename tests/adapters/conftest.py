"""PSPs and ledgers, the fake and the real one, and races between two stores, simulated and real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from payonce.adapters.fold_store import PostgresFoldStore
from payonce.adapters.ledger import PostgresLedger
from payonce.adapters.ledger_continuity import LedgerThread
from payonce.adapters.postgres import Database
from payonce.adapters.stripe import StripeGateway
from payonce.ports import (
    Ledger,
)
from sandbox.stripe_simulator.config import Config
from sandbox.stripe_simulator.server import SimulatorServer
from tests.fakes.gateway import MemoryGateway
from tests.fakes.ledger import MemoryLedger
from tests.fakes.psps import Psp
from tests.fakes.races import KINDS, LedgerRace, Race, coroutine, emptied, patient, simulated
from tests.simulation.fold_tables import SimulatedFoldStore
from tests.simulation.ledger_tables import SimulatedLedger


@pytest.fixture(params=["memory", pytest.param("postgresql", marks=pytest.mark.stack)])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    database = Database(request.getfixturevalue("database_url"), application_name="test")
    thread = LedgerThread(database)
    yield PostgresLedger(thread)
    thread.close()
    database.dispose()


@pytest.fixture
async def new_ledger(database_url: str) -> AsyncIterator[Callable[[], PostgresLedger]]:
    threads = []

    def make() -> PostgresLedger:
        threads.append(LedgerThread(Database(database_url, application_name="test")))
        return PostgresLedger(threads[-1])

    yield make
    for thread in threads:
        thread.close()
        thread._database.dispose()


@pytest.fixture(params=KINDS)
def race(request: pytest.FixtureRequest) -> Iterator[Race[Any]]:
    """Runs a race between two fold stores on empty tables."""
    if request.param == "simulated":
        loop, database, owners = simulated()
        stores = [SimulatedFoldStore(database, owner) for owner in owners]
        yield lambda scenario: loop.run(coroutine(scenario(*stores)))
        return
    url = emptied(request.getfixturevalue("database_url"))
    real = [PostgresFoldStore(patient(Database(url, application_name=f"race {number}"))) for number in range(2)]
    yield lambda scenario: asyncio.run(coroutine(scenario(*real)))
    for store in real:
        store.close()


@pytest.fixture(params=KINDS)
def ledger_race(request: pytest.FixtureRequest) -> Iterator[LedgerRace[Any]]:
    """Runs a race between two ledgers on empty tables."""
    if request.param == "simulated":
        loop, database, owners = simulated()
        ledgers = [SimulatedLedger(database, owner) for owner in owners]
        yield lambda scenario: loop.run(coroutine(scenario(*ledgers)))
        return
    url = emptied(request.getfixturevalue("database_url"))
    databases = [patient(Database(url, application_name=f"race {number}")) for number in range(2)]
    threads = [LedgerThread(database) for database in databases]

    async def run(scenario: Callable[[Ledger, Ledger], Awaitable[Any]]) -> Any:
        return await scenario(*(PostgresLedger(thread) for thread in threads))

    yield lambda scenario: asyncio.run(run(scenario))
    for thread, each in zip(threads, databases, strict=True):
        thread.close()
        each.dispose()


@pytest.fixture(params=["memory", "simulator"])
async def psp(request: pytest.FixtureRequest) -> AsyncIterator[Psp]:
    if request.param == "memory":
        memory = MemoryGateway()
        yield Psp(
            memory,
            memory.pay,
            lambda name: memory.pay(name, "processing"),
            memory.fail_payment,
            lambda name: memory.billing.of_session[name]["subscription"],
        )
        return
    with SimulatorServer(Config(rate_limit_per_endpoint=0, rate_limit_total=0)) as server:
        gateway = StripeGateway(server.config.secret_key, server.url)
        yield Psp(
            gateway,
            lambda name: server.control.pay(name, method="card"),
            lambda name: server.control.pay(name, method="delayed"),
            lambda name: server.control.settle(name, succeed=False),
            lambda name: str(server.control.session(name)["subscription"]),
        )
        await gateway.close()
