"""What operators type, and what their terminal is spared."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from payonce.dead_letters import REASONS
from payonce.ops_client.client import OpsClient, OpsProblem
from payonce.ops_client.screens import age, plain
from payonce.ops_client.wishes import BadWish, changes_of, edited_body, seconds_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("7d", 604_800), (None, None)]
)
def test_an_age_is_a_number_and_its_unit(text: str | None, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "5", "-3h", "3 weeks"])
def test_any_other_age_is_refused(text: str) -> None:
    with pytest.raises(BadWish):
        seconds_of(text)


def test_a_value_that_reads_as_json_is_json_and_the_rest_is_text() -> None:
    typed = ["terms.amount=1050", "terms.description=Two books", "a=null", 'b="7"', "c=x=y", "d="]

    assert changes_of(typed) == {
        "terms.amount": 1050,
        "terms.description": "Two books",
        "a": None,
        "b": "7",
        "c": "x=y",
        "d": "",
    }


@pytest.mark.parametrize("typed", ["terms.amount", "=3"])
def test_an_assignment_without_field_or_value_is_refused(typed: str) -> None:
    with pytest.raises(BadWish):
        changes_of([typed])


LETTER = {"id": "dl_1", "body": {"encoding": "json", "content": {"amount": 5, "name": "ü"}}, "replaced_by": None}


def editor(folder: Path, script: str) -> dict[str, str]:
    """An $EDITOR that edits by itself."""
    program = folder / "edit.sh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    return {"EDITOR": str(program)}


def test_what_the_editor_leaves_is_the_new_body(tmp_path: Path) -> None:
    environ = editor(tmp_path, 'sed -i "s/5/7/" "$1"')

    assert json.loads(edited_body(LETTER, environ)) == {"amount": 7, "name": "ü"}


def test_the_editor_begins_from_what_was_sent_last(tmp_path: Path) -> None:
    sent = {**LETTER, "replaced_by": {"encoding": "json", "content": {"amount": 3, "name": "ü"}}}

    assert json.loads(edited_body(sent, editor(tmp_path, 'sed -i "s/ü/u/" "$1"'))) == {"amount": 3, "name": "u"}


@pytest.mark.parametrize("script", ["true", "exit 3", 'echo "{" > "$1"'])
def test_an_editor_that_changes_nothing_fails_or_leaves_no_json_changes_nothing(tmp_path: Path, script: str) -> None:
    with pytest.raises(BadWish):
        edited_body(LETTER, editor(tmp_path, script))


def test_a_hostile_body_cannot_steer_the_terminal() -> None:
    assert plain("\x1b[2J[bold]x[/bold]\x07") == "\ufffd[2J\\[bold]x\\[/bold]\ufffd"


def test_ages_are_short() -> None:
    assert [age(seconds) for seconds in (-1, 59, 60, 7_200, 200_000)] == ["0s", "59s", "1m", "2h", "2d"]


def test_every_reason_is_documented_in_the_order_of_the_code() -> None:
    lines = (ROOT / "docs" / "dead-letters.md").read_text().splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]

    assert [name for name in names if name in REASONS] == list(REASONS)


# ------------------------------------------------------------------------------------------ the client


class Handler(http.server.BaseHTTPRequestHandler):
    answers: list[tuple[int, bytes]]
    asked: list[tuple[str, str, str | None]]

    def _answer(self) -> None:
        self.asked.append((self.command, self.path, self.headers.get("Authorization")))
        status, body = self.answers.pop(0)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815  (the base class names them so)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[type[Handler], OpsClient]]:
    handler = type("OneTest", (Handler,), {"answers": [], "asked": []})
    http_server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http_server.serve_forever)
    thread.start()
    yield handler, OpsClient(f"http://127.0.0.1:{http_server.server_port}/", "ot_me")
    http_server.shutdown()
    thread.join()
    http_server.server_close()


def page(*ids: str, more: bool) -> tuple[int, bytes]:
    document: dict[str, Any] = {"data": [{"id": each} for each in ids], "has_more": more}
    return 200, json.dumps(document).encode()


def test_pages_are_joined_and_no_more_is_asked_for_than_wanted(server: tuple[type[Handler], OpsClient]) -> None:
    handler, client = server
    handler.answers[:] = [page("a", "b", more=True), page("c", more=True)]

    assert [each["id"] for each in client.letters({"state": "open", "order": None}, 3)] == ["a", "b", "c"]
    assert handler.asked == [
        ("GET", "/v1/dead-letters?state=open&limit=3", "Bearer ot_me"),
        ("GET", "/v1/dead-letters?state=open&limit=1&starting_after=b", "Bearer ot_me"),
    ]


def test_a_refusal_says_what_to_change(server: tuple[type[Handler], OpsClient]) -> None:
    handler, client = server
    body = {"type": "urn:payonce:problem:own_edit", "detail": "another person must", "status": 403}
    handler.answers[:] = [(403, json.dumps(body).encode()), (502, b"<html>")]

    with pytest.raises(OpsProblem) as refused:
        client.approve("dl_1", "h", "why")
    assert (refused.value.status, refused.value.kind, str(refused.value)) == (403, "own_edit", "another person must")
    with pytest.raises(OpsProblem) as odd:
        client.letter("a/b")
    assert (odd.value.status, handler.asked[1][1]) == (502, "/v1/dead-letters/a%2Fb")


def test_a_console_that_is_away_is_a_sentence() -> None:
    with pytest.raises(OpsProblem, match="does not answer"):
        OpsClient("http://127.0.0.1:1", "t").letter("x")
    with pytest.raises(OpsProblem, match="PAYONCE_OPS_URL"):
        OpsClient("file:///etc", "t").letter("x")
