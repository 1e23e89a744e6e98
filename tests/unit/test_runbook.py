"""The runbook says of everything that calls for a person what it means and what to do."""

from __future__ import annotations

import re
from pathlib import Path

from payonce.dead_letters import REASONS

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "operating.md").read_text()
LETTERS = (ROOT / "docs" / "dead-letters.md").read_text()
VOCABULARY = (ROOT / "payonce" / "telemetry.py").read_text()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_every_reason_of_a_dead_letter_says_what_it_means_and_what_to_do() -> None:
    table = LETTERS.split("## Reasons")[1].split("## ")[0]
    rows = {cells(line)[0]: cells(line)[1:] for line in table.splitlines() if line.startswith("| ")}

    assert [reason for reason in REASONS if len([cell for cell in rows.get(reason, []) if cell]) != 2] == []


def test_every_reason_has_its_place_in_the_runbook() -> None:
    section = RUNBOOK.split("## Dead letters, by reason")[1].split("\n## ")[0]

    assert set(re.findall(r"`([a-z_]+)`", section)) >= set(REASONS)


def test_every_metric_is_in_an_alert_or_on_a_board() -> None:
    names = set(re.findall(r'"(payonce_[a-z_]+)"', VOCABULARY))

    assert names - set(re.findall(r"payonce_[a-z_]+", RUNBOOK)) == set()


def test_every_alert_says_how_urgent_it_is_what_it_means_and_what_to_do() -> None:
    section = RUNBOOK.split("## Alerts")[1].split("What else is measured")[0]
    alerts = [cells(line) for line in section.splitlines() if line.startswith("| ")][1:]

    assert len(alerts) >= 20
    assert [row[0] for row in alerts if len(row) != 4 or row[1] not in {"page", "ticket"} or not all(row)] == []
