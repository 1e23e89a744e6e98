"""What the documents say of the code is true, and the code keeps the shape that CONTRIBUTING promises."""

from __future__ import annotations

import ast
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.readme import README, renewed

ROOT = README.parent
SOURCES = [
    path for folder in ("payonce", "services", "sandbox", "bench") for path in sorted((ROOT / folder).rglob("*.py"))
]
LONGEST_FILE, LONGEST_FUNCTION = 300, 70
DEADLINE_SECONDS = 30
#: Stands for the world's interpreter: prints its one line only when it is told to, and stays.
WORLD = """#!/bin/sh
touch begun
until [ -e go ]; do sleep 0.05; done
echo API=http://new.example
exec sleep 60
"""


def test_the_readme_lists_the_settings_as_they_are() -> None:
    assert renewed(README.read_text()) == README.read_text(), "run: make readme"


def test_the_order_by_hand_waits_for_its_world_and_ends_it(tmp_path: Path) -> None:
    """The world prints its addresses when it has started, which takes a while; those of an earlier one are not its."""
    section = README.read_text().partition("## An order by hand")[2]
    begin, _, _ = section.split("```")[1].partition("curl ")
    end = section.partition("` ends the world")[0].rpartition("`")[2]
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(WORLD)
    python.chmod(0o755)
    (tmp_path / "world.sh").write_text("API=http://old.example\n")
    script = f"set -m\n{begin}\necho $API\n{end}\nwait"

    with subprocess.Popen(["bash", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as shell:
        try:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while shell.poll() is None and not (tmp_path / "begun").exists():
                assert time.monotonic() < deadline
            early = shell.poll()
            (tmp_path / "go").touch()
            said, _ = shell.communicate(timeout=DEADLINE_SECONDS)
        finally:
            shell.kill()

    assert (early, said) == (None, "http://new.example\n")


def test_every_function_named_in_the_architecture_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`([a-z_/]+\.py):([A-Za-z_.]+)`", text)
    missing = [f"{file}:{name}" for file, name in named if not _defines(ROOT / file, name)]

    assert named
    assert missing == []


def test_every_file_named_in_the_documents_exists() -> None:
    for document in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text()
        for path in re.findall(
            r"`((?:payonce|services|sandbox|bench|tests|schemas|migrations|docs|deploy)/[\w./-]+)`", text
        ):
            assert (ROOT / path).exists(), f"{document} names {path}"


def test_every_guarantee_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    rows = re.findall(r"^\| (\d+) \|.*$", text, re.MULTILINE)
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)

    assert [str(number) for number in range(1, 12)] == rows[:11]
    assert [f"{file}::{test}" for file, test in named if not _defines(ROOT / file, test)] == []


def test_every_metric_of_the_runbook_exists() -> None:
    runbook = (ROOT / "docs" / "operating.md").read_text()
    vocabulary = (ROOT / "payonce" / "telemetry.py").read_text()

    assert [name for name in re.findall(r"payonce_[a-z_]+", runbook) if f'"{name}"' not in vocabulary] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_fits_the_mind_and_a_function_the_screen(path: Path) -> None:
    text = path.read_text()
    long = [
        f"{node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]

    assert text.count("\n") <= LONGEST_FILE
    assert long == []


def _defines(file: Path, name: str) -> bool:
    if not file.exists():
        return False
    tree = ast.parse(file.read_text())
    defined = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return set(name.split(".")) <= defined
