"""What an operator types, as the API wants it: ages, fields to set, a body from an editor."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from payonce.ops_client.screens import document

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class BadWish(Exception):
    """What was typed cannot be meant; the message says what would be understood."""


def seconds_of(age: str | None) -> float | None:
    """Return an age such as 30m, 2h or 7d in seconds. Raises BadWish."""
    if age is None:
        return None
    found = _AGE.fullmatch(age)
    if found is None:
        raise BadWish(f"{age!r} is no age: write 90s, 30m, 2h or 7d")
    return float(found[1]) * _SECONDS[found[2]]


def changes_of(assignments: Sequence[str]) -> dict[str, Any]:
    """Return field=value pairs; a value that reads as JSON is JSON (1050, true, null, "1050"), else it is text.

    Raises BadWish.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not path or not equals:
            raise BadWish(f"{assignment!r} is no field=value, such as terms.amount=1050")
        changes[path] = _value(value)
    return changes


def edited_body(letter: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> str:
    """Return the letter's body as it comes back from $VISUAL or $EDITOR. Blocks until it is closed. Raises BadWish.

    Where something else was sent in its place, that is what the editor shows.
    """
    body = letter["replaced_by"] or letter["body"]
    if body["encoding"] not in {"json", "text"}:
        raise BadWish("the body is no text: use --set, or send a whole body through the API")
    editor = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")
    before = document(body["content"])
    with tempfile.TemporaryDirectory(prefix="payonce-") as folder:  # only its owner can look into it
        path = Path(folder) / f"{letter['id']}.json"
        path.write_text(before)
        try:
            subprocess.run([*editor, str(path)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BadWish(f"the editor failed, nothing was changed: {error}") from error
        after = path.read_text()
    if after == before:
        raise BadWish("nothing was changed")
    return _compact(after) if body["encoding"] == "json" else after


def _compact(text: str) -> str:
    try:
        return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
    except ValueError as error:
        raise BadWish(f"what you wrote is no JSON: {error}") from error


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
