"""The ops console over HTTP: one blocking call per method, problems as exceptions. Retries nothing by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

_TIMEOUT_SECONDS = 30.0
#: The largest pages that the console gives.
_LETTERS_PAGE, _REPLAYS_PAGE = 200, 100

Document = dict[str, Any]


class OpsProblem(Exception):
    """The console refused, or is away (status 0); the message says what to change."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail


class OpsClient:
    """Speaks for one operator. Every method raises OpsProblem."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token

    def letters(self, filters: Mapping[str, Any], limit: int) -> Iterator[Document]:
        """Yield at most `limit` dead letters, oldest first, page by page."""
        yield from self._pages("/v1/dead-letters", filters, limit, _LETTERS_PAGE)

    def letter(self, letter_id: str) -> Document:
        """Return one dead letter with everything about it."""
        return self._get(f"/v1/dead-letters/{quote(letter_id, safe='')}")

    def edit(self, letter_id: str, wish: Mapping[str, Any]) -> Document:
        """Keep an edit; return its differences and hash."""
        return self._post(f"/v1/dead-letters/{quote(letter_id, safe='')}/edit", wish)

    def withdraw_edit(self, letter_id: str, why: str) -> Document:
        """Forget the pending edit."""
        return self._post(f"/v1/dead-letters/{quote(letter_id, safe='')}/edit/withdraw", {"why": why})

    def approve(self, letter_id: str, edit_hash: str, why: str) -> Document:
        """Approve another person's edit."""
        body = {"edit_hash": edit_hash, "why": why}
        return self._post(f"/v1/dead-letters/{quote(letter_id, safe='')}/edit/approve", body)

    def discard(self, letter_id: str, why: str) -> Document:
        """Set a letter aside for good."""
        return self._post(f"/v1/dead-letters/{quote(letter_id, safe='')}/discard", {"why": why})

    def replay(self, selection: Mapping[str, Any], *, why: str, dry_run: bool) -> Document:
        """Start a replay, or return its preview. `selection` holds `ids` or `filter`."""
        return self._post("/v1/replays", {**selection, "why": why, "dry_run": dry_run})

    def replays(self, state: str | None, limit: int) -> Iterator[Document]:
        """Yield at most `limit` replays, the newest first, page by page."""
        yield from self._pages("/v1/replays", {"state": state}, limit, _REPLAYS_PAGE)

    def replay_status(self, replay_id: str) -> Document:
        """Return how far a replay is."""
        return self._get(f"/v1/replays/{quote(replay_id, safe='')}")

    def cancel_replay(self, replay_id: str, why: str) -> Document:
        """Stop a replay."""
        return self._post(f"/v1/replays/{quote(replay_id, safe='')}/cancel", {"why": why})

    def _pages(self, path: str, filters: Mapping[str, Any], limit: int, page_size: int) -> Iterator[Document]:
        left, after = limit, None
        while left > 0:
            page = self._get(path, {**filters, "limit": min(left, page_size), "starting_after": after})
            yield from page["data"]
            left -= len(page["data"])
            if not page["has_more"]:
                return
            after = page["data"][-1]["id"]

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> Document:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return self._call(Request(f"{self._url}{path}" + (f"?{urlencode(given)}" if given else "")))  # noqa: S310

    def _post(self, path: str, body: Mapping[str, Any]) -> Document:
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self._call(Request(f"{self._url}{path}", data, headers, method="POST"))  # noqa: S310

    def _call(self, request: Request) -> Document:
        if not self._url.startswith(("http://", "https://")):
            raise OpsProblem(0, "bad_address", f"{self._url!r} is no http address: set PAYONCE_OPS_URL")
        request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  (checked above)
                document: Document = json.loads(answer.read())
        except HTTPError as error:
            raise _problem(error.code, error.read()) from error
        except (URLError, OSError, HTTPException) as error:
            raise OpsProblem(0, "away", f"the ops console at {self._url} does not answer: {error}") from error
        return document


def _problem(status: int, body: bytes) -> OpsProblem:
    try:
        document = json.loads(body)
        return OpsProblem(status, str(document["type"]).rpartition(":")[2], str(document["detail"]))
    except (ValueError, KeyError, TypeError):
        return OpsProblem(status, "unknown", f"the ops console answered {status}")
