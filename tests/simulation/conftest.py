"""The processes under simulated time say nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.run import silence


@pytest.fixture(autouse=True)
def _quiet_processes() -> Iterator[None]:
    before = structlog.get_config()
    silence()
    yield
    structlog.configure(**before)
