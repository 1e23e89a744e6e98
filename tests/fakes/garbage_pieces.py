"""What a piece of garbage is, and the dice that make one."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from payonce.catalog import topics

Headers = tuple[tuple[str, bytes], ...]
Object = dict[str, Any]
EXAMPLES: Final = Path(__file__).parents[2] / "schemas" / "examples"
WEBHOOKS: Final = "payments.webhooks"
FOREIGN: Final = "foreign"
#: Waits for its order; once that has lasted a day, it is a dead letter `unresolved`.
UNRESOLVED: Final = "unresolved"


@dataclass(frozen=True, slots=True)
class Piece:
    """One record that is no good, and the reason under which its readers set it aside: all of them, or one group."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str
    only: str | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """Who must set it aside."""
        if self.reason == FOREIGN:
            return ()
        return (self.only,) if self.only else topics()[self.topic].readers


@dataclass(frozen=True, slots=True)
class Kind:
    """`share`: how many there are beside the others; 0: rare, for their size."""

    share: int
    make: Callable[[Maker], tuple[bytes | None, Headers, str]]


class Maker:
    """The dice, and numbers that never come twice."""

    def __init__(self, topic: str, seed: str) -> None:
        self.topic = topic
        self.dice = random.Random(seed)  # noqa: S311  (a test's dice, the same for each seed)
        self._seed = seed
        self._numbers = itertools.count()

    def unique(self, prefix: str) -> str:
        return f"{prefix}_{self._seed}_{next(self._numbers)}"

    def typed(self, kind: str) -> Headers:
        return (("ce_id", self.unique("g").encode()), ("ce_type", kind.encode()), ("ce_source", b"garbage"))

    def own(self) -> tuple[str, dict[str, Any]]:
        """Return one of the topic's own messages: its name, and a body that fits its schema."""
        return self.example(topics()[self.topic].messages)

    def example(self, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
        name = self.dice.choice(sorted(names))
        paths = sorted((EXAMPLES / f"{name}.v1").glob("*.json"))
        document: dict[str, Any] = json.loads(self.dice.choice(paths).read_text())
        return name, document

    def good_type(self) -> str:
        return "com.stripe.charge.updated" if self.topic == WEBHOOKS else f"payonce.{self.own()[0]}.v1"

    def event(self, kind: str, thing: Mapping[str, Any], **changes: Any) -> tuple[bytes, Headers]:
        """Return a PSP event that fits the schema, around any object."""
        event = {
            "id": self.unique("evt"),
            "object": "event",
            "type": kind,
            "created": 1_795_000_000,
            "livemode": False,
            "api_version": "2026-10-28.endive",
            "data": {"object": thing},
            **changes,
        }
        return json.dumps(event).encode(), self.typed(f"com.stripe.{kind}")
