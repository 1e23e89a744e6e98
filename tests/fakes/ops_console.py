"""The ops console on fakes: store, log and clock in the test's hands, four operators."""

from __future__ import annotations

import itertools
from typing import Any

import httpx

from payonce.ports import Record
from services.ops_console.anchoring import Auditor
from services.ops_console.app import create_app
from services.ops_console.chores import Chores, Settler
from services.ops_console.dependencies import Dependencies
from services.ops_console.indexer import index
from services.ops_console.letters import letter_of
from services.ops_console.operators import Operators, read_operators, token_hash
from services.ops_console.pacing import ReplayPace
from services.ops_console.replaying import Replayer
from services.ops_console.retention import Retention
from tests.fakes.dead_letters import letter_record, original
from tests.fakes.log import MemoryAuditTopic, MemoryLog
from tests.fakes.ops_store import MemoryOpsStore
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START, VirtualClock

OLGA, ADA, BOTH, VERA = "ot_olga", "ot_ada", "ot_both", "ot_vera"
LIFETIME = 82_500


def operators_document() -> str:
    """Return an operators file: olga acts, ada approves, bo may do both, vera looks."""
    people = (
        ("olga", OLGA, '["viewer", "operator"]'),
        ("ada", ADA, '["viewer", "approver"]'),
        ("bo", BOTH, '["operator", "approver"]'),
        ("vera", VERA, '["viewer"]'),
    )
    return "\n".join(
        f'[[operator]]\nid = "{name}"\nname = "{name}"\ntoken_hashes = ["{token_hash(token)}"]\nroles = {roles}\n'
        for name, token, roles in people
    )


class StaticOperators:
    """Operators that never change."""

    def __init__(self) -> None:
        self._operators = read_operators(operators_document())

    def current(self) -> Operators:
        """Return them."""
        return self._operators


class NoDeletion:
    """A log of which nothing is old."""

    async def first_younger(self, *_: object) -> dict[Any, int]:
        """Return nothing."""
        return {}

    async def delete_before(self, *_: object) -> None:
        """Delete nothing."""


class Console:
    """The application and its chores with everything around them in the test's hands."""

    def __init__(self, *, commands_per_second: float = 2.0) -> None:
        self.store = MemoryOpsStore()
        self.log = MemoryLog()
        self.clock = VirtualClock()
        self.is_reading = True
        numbers = itertools.count(1)
        self.dependencies = Dependencies(
            store=self.store,
            clock=self.clock,
            operators=StaticOperators(),
            pace=ReplayPace(commands_per_second),
            lifetime_seconds=LIFETIME,
            link_secret=b"secret",
            new_id=lambda: f"rp_{next(numbers)}",
            is_reading=lambda: self.is_reading,
        )
        self.app = create_app(self.dependencies)
        self.replayer = Replayer(self.store, self.log, self.clock, self.dependencies.rules, self.dependencies.pace)
        self.chores = Chores(
            self.store,
            self.clock,
            replayer=self.replayer,
            auditor=Auditor(self.store, self.log, MemoryAuditTopic(self.log), self.clock),
            settler=Settler(self.store, self.clock),
            retention=Retention(self.store, NoDeletion(), self.clock, []),
        )

    def index(self, *records: Record) -> list[str]:
        """Let letters arrive; return their ids."""
        self.store.run_now(lambda tx: index(tx, records))
        return [letter_of(record).letter_id for record in records]

    async def get(self, path: str, token: str | None = OLGA, /, **query: object) -> httpx.Response:
        """Get a path."""
        async with self._caller(token) as caller:
            return await caller.get(path, params={name: str(value) for name, value in query.items()})

    async def post(self, path: str, body: object, token: str | None = OLGA) -> httpx.Response:
        """Post JSON to a path."""
        async with self._caller(token) as caller:
            return await caller.post(path, json=body)

    async def finish_replays(self) -> None:
        """Let the replayer work until nothing is left."""
        while await self.replayer.run_once():
            pass

    def _caller(self, token: str | None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://ops.example", headers=headers)


def arrive(console: Console, reference: str = "A-1", *, offset: int = 0, at: float = START) -> str:
    """Let the letter of a refused registration arrive; return its id."""
    record = original(register(reference, life_seconds=20 * 3600, issued_at=int(START)), offset=offset)
    return console.index(letter_record(record, offset=offset, at=at))[0]


def kind(answer: httpx.Response) -> str:
    """Return the kind of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rpartition(":")[2]


async def edit(console: Console, letter_id: str, token: str = OLGA, **changes: Any) -> httpx.Response:
    """Set fields of a letter's body; `terms__amount` is terms.amount."""
    body = {"changes": {name.replace("__", "."): value for name, value in changes.items()}, "why": "typo"}
    return await console.post(f"/v1/dead-letters/{letter_id}/edit", body, token)


async def approve(console: Console, letter_id: str, edit_hash: str, token: str = ADA) -> httpx.Response:
    """Approve an edit, as the second person unless told otherwise."""
    return await console.post(
        f"/v1/dead-letters/{letter_id}/edit/approve", {"edit_hash": edit_hash, "why": "ok"}, token
    )
