"""`make demo`: every kind of customer and every life of a payment, told line by line, and the sums agree."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from sandbox.demo.behaviours import Behaviour
from sandbox.demo.lives import LIVES

#: Far longer than it takes: reached only by a demo that hangs.
LIMIT_SECONDS = 840
pytestmark = [pytest.mark.stack, pytest.mark.timeout(LIMIT_SECONDS + 60)]


def test_every_line_of_the_demo_is_equal() -> None:
    """A world of its own, in which a month passes."""
    demo = subprocess.run(
        [sys.executable, "-m", "sandbox.demo", "--orders", "20", "--exit"],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
        env={**os.environ, "COLUMNS": "100"},
    )

    assert demo.returncode == 0, demo.stdout[-6_000:] + demo.stderr[-2_000:]
    for name in (*(behaviour.value for behaviour in Behaviour), *(life.name for life in LIVES)):
        assert re.search(rf"│ {re.escape(name)} .*│ equal │", demo.stdout), name
    assert "DIFFERENT" not in demo.stdout
    assert "all equal" in demo.stdout
    assert ", 0 violations" in demo.stdout
