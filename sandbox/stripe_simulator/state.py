"""Everything the simulator remembers: objects exactly as the API shows them, in order of creation."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.stripe_simulator.payment_methods import Instrument
    from sandbox.stripe_simulator.session_parameters import SessionRequest

# An object as the API shows it. Any: JSON.
Json = dict[str, Any]
Item = TypeVar("Item")


class Collection(Generic[Item]):
    """Objects of one kind by id and by order of creation; `created` never decreases along the order."""

    def __init__(self, view: Callable[[Item], Json]) -> None:
        self.view = view
        self._items: list[Item] = []
        self._positions: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def add(self, item: Item) -> None:
        self._positions[self.view(item)["id"]] = len(self._items)
        self._items.append(item)

    def get(self, item_id: str) -> Item | None:
        position = self._positions.get(item_id)
        return None if position is None else self._items[position]

    def __getitem__(self, item_id: str) -> Item:
        return self._items[self._positions[item_id]]

    def position(self, item_id: str) -> int | None:
        return self._positions.get(item_id)

    def at(self, position: int) -> Item:
        return self._items[position]

    def first_since(self, created: int) -> int:
        """The position of the first item that was created at this time or later."""
        return bisect_left(self._items, created, key=lambda item: int(self.view(item)["created"]))


@dataclass(slots=True)
class SessionRecord:
    """A Checkout Session with what its object does not show."""

    object: Json
    request: SessionRequest
    line_items: list[Json]
    # Confirmations so far: a form rendered before the last one is stale, so a double click does nothing.
    confirmations: int = 0
    # The instrument that waits for 3-D Secure, for the bank's page or for its settlement.
    pending: Instrument | None = None
    error: str | None = None
    last_method: str | None = None
    completed_event_id: str | None = None

    @property
    def id(self) -> str:
        return str(self.object["id"])

    @property
    def is_open(self) -> bool:
        return bool(self.object["status"] == "open")


@dataclass(slots=True)
class EventRecord:
    """An event, the bytes that are sent for it, and how its delivery went."""

    object: Json
    body: bytes
    failed_attempts: int = 0
    delivered: int = 0


class Store:
    """All objects."""

    def __init__(self) -> None:
        self.sessions: Collection[SessionRecord] = Collection(lambda record: record.object)
        self.payment_intents: Collection[Json] = Collection(lambda intent: intent)
        self.charges: Collection[Json] = Collection(lambda charge: charge)
        self.events: Collection[EventRecord] = Collection(lambda record: record.object)
        self.session_of_payment_intent: dict[str, str] = {}
