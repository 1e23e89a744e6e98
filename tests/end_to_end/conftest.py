"""One world for all end-to-end tests of a session; the tests that break a part put it back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.world import World, WorldOptions
from tests.end_to_end.shop import Shop


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Stack, simulator, services and demo shop as separate processes."""
    with World(WorldOptions(with_shop=True, delayed_debit_seconds=3_600), on_progress=print) as running:
        yield running


@pytest.fixture
def shop(world: World) -> Iterator[Shop]:
    """A client app of that world; afterwards the simulator's faults and webhook options are as they were."""
    with Shop(world) as client:
        yield client
        client.calm()
