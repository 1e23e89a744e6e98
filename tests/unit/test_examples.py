"""The examples are client apps like any other: short, and without a line of ours to lean on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from payonce.catalog import SCHEMAS

ROOT = SCHEMAS.parent
EXAMPLES = sorted((ROOT / "examples").glob("*/*.py"))
OURS = {path.name for path in ROOT.iterdir() if any(path.glob("__init__.py"))} | {"tests", "examples"}


def test_there_are_two() -> None:
    assert [path.stem for path in EXAMPLES] == ["analytics", "shop"]
    assert {"payonce", "services", "sandbox"} <= OURS


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_under_150_lines_and_imports_nothing_of_ours(path: Path) -> None:
    text = path.read_text()
    imported = {
        name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or "."] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }

    assert text.count("\n") < 150
    assert not {name.partition(".")[0] for name in imported} & OURS


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_its_readme_says_in_one_block_how_to_run_it(path: Path) -> None:
    """That block is what the end-to-end test runs."""
    text = (path.parent / "README.md").read_text()

    assert text.count("```sh\n") == 1
    assert f"python examples/{path.parent.name}/{path.name}" in text.partition("```sh\n")[2].partition("```")[0]
