"""Half a minute of chaos on real processes: the short form of `make chaos`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack

PROCESSES = {
    "checkout_api",
    "ops_console",
    "psp_worker",
    "psp_worker-2",
    "reconciler",
    "status_processor",
    "status_processor-2",
    "postgres",
}
BROKERS = {"kafka-1", "kafka-2", "kafka-3"}


@pytest.mark.timeout(1200)
def test_whatever_is_killed_frozen_cut_or_full_nothing_is_lost_doubled_or_wrong(tmp_path: Path) -> None:
    """Three brokers, two workers of each kind; all processes and a broker are killed; `payonce verify` is clean."""
    report = tmp_path / "report.txt"
    size = ("--minutes", "0.5", "--rate", "6", "--seed", "4")

    run = subprocess.run(
        [sys.executable, "-m", "sandbox.chaos", *size, "--report", str(report)],
        capture_output=True,
        text=True,
        check=False,
        timeout=1140,
    )

    assert run.returncode == 0, run.stdout[-8_000:] + run.stderr[-4_000:]
    text = report.read_text()
    assert "orders 180, lost 0, doubled 0, wrong 0" in text
    killed = set(re.findall(r"^ +\d+  (\S+)$", text, flags=re.MULTILINE))
    assert killed >= PROCESSES
    assert killed & BROKERS, "one at a time: how many, depends on how soon a broker is back"
    assert "payonce verify: exit code 0" in text
    assert text.endswith("passed\n")
