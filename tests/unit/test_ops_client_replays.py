"""A replay can be seen and stopped from any terminal, and none begins without having been asked for."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from payonce.cli import app
from payonce.ops_client import replaying

PREVIEW = {
    "selected": 2,
    "sending": 2,
    "by_how": {"as_is": 2},
    "skipped": {},
    "commands_per_second": 2.0,
    "eta_seconds": 1,
    "first": [],
}


def status(state: str = "running", **items: int) -> dict[str, Any]:
    return {
        "id": "rp_7",
        "state": state,
        "started_by": "olga",
        "started_at": 1_790_000_000,
        "why": "the PSP is well [bold]again",
        "total": 2,
        "items": items,
        "skipped": [],
    }


class Console(http.server.BaseHTTPRequestHandler):
    """Answers what the test has written down, in its order; without anything left it is away."""

    answers: list[tuple[int, Any]]
    asked: list[tuple[str, str, Any]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.command, self.path, json.loads(body) if body else None))
        code, document = self.answers.pop(0) if self.answers else (503, {"type": "x:away", "detail": "not now"})
        content = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815  (the base class names them so)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Console]]:
    handler = type("OneTest", (Console,), {"answers": [], "asked": []})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("PAYONCE_OPS_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("PAYONCE_OPS_TOKEN", "ot_me")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(replaying, "_POLL_SECONDS", 0.0)
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def dlq(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["dlq", *arguments])


def posted(console: type[Console]) -> list[tuple[str, Any]]:
    return [(path, body) for method, path, body in console.asked if method == "POST"]


def test_json_alone_sends_nothing(console: type[Console]) -> None:
    done = dlq("replay", "--all", "--why", "x", "--json")

    assert (done.exit_code, console.asked) == (1, [])
    assert "--yes" in done.stderr


def test_json_with_yes_sends_and_names_the_replay_at_once_beside_the_answer(console: type[Console]) -> None:
    console.answers[:] = [(200, PREVIEW), (202, status(waiting=2)), (200, status("finished", sent=2))]

    done = dlq("replay", "--all", "--why", "x", "--json", "--yes")

    assert (done.exit_code, json.loads(done.stdout)["items"]) == (0, {"sent": 2})
    assert done.stderr == "replay rp_7, 2 letters\n"


def test_a_dry_run_needs_no_yes(console: type[Console]) -> None:
    console.answers[:] = [(200, PREVIEW)]

    assert json.loads(dlq("replay", "--all", "--why", "x", "--json", "--dry-run").stdout) == PREVIEW
    assert posted(console) == [("/v1/replays", {"filter": {}, "why": "x", "dry_run": True})]


def test_a_console_that_is_away_for_a_moment_does_not_end_the_following(console: type[Console]) -> None:
    away = (503, {"type": "x:temporarily_unavailable", "detail": "the database does not answer"})
    finished = (200, status("finished", sent=2))
    console.answers[:] = [(200, PREVIEW), (202, status(waiting=2)), away, (502, "?"), finished]

    assert dlq("replay", "--all", "--why", "x", "--yes").exit_code == 0


def test_a_console_that_stays_away_leaves_the_way_to_its_replay(
    console: type[Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "_PATIENCE_SECONDS", 0.0)
    console.answers[:] = [(200, PREVIEW), (202, status(waiting=2))]

    done = dlq("replay", "--all", "--why", "x", "--yes")

    assert done.exit_code == 1
    assert "the replay goes on: payonce dlq replays, payonce dlq cancel rp_7" in done.stderr


def test_replays_are_listed_with_who_started_them_and_how_far_they_are(console: type[Console]) -> None:
    console.answers[:] = [(200, {"data": [status(sent=1, waiting=1)], "has_more": False})]

    shown = dlq("replays", "--running").stdout.splitlines()

    assert console.asked == [("GET", "/v1/replays?state=running&limit=20", None)]
    assert [word in shown[1] for word in ("rp_7", "running", "olga", "well [bold]again")] == [True] * 4


def test_replays_as_json_and_none(console: type[Console]) -> None:
    console.answers[:] = [(200, {"data": [status()], "has_more": False}), (200, {"data": [], "has_more": False})]

    assert json.loads(dlq("replays", "--json").stdout)[0]["id"] == "rp_7"
    assert dlq("replays").stdout == "no replays\n"


def test_a_replay_is_cancelled_from_anywhere(console: type[Console]) -> None:
    console.answers[:] = [(200, status("cancelled", sent=1, waiting=1))]

    done = dlq("cancel", "rp_7", "--why", "wrong ones")

    assert (done.exit_code, done.stdout) == (0, "cancelled: 1 sent, 0 stay, 1 not reached\n")
    assert posted(console) == [("/v1/replays/rp_7/cancel", {"why": "wrong ones"})]
