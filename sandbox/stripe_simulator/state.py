"""Everything the simulator remembers: objects exactly as the API shows them, in order of creation."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.stripe_simulator.payment_methods import Instrument
    from sandbox.stripe_simulator.periods import Recurring
    from sandbox.stripe_simulator.session_parameters import SessionRequest

# An object as the API shows it. Any: JSON.
Json = dict[str, Any]
Item = TypeVar("Item")


class WrongStateError(Exception):
    """The object is not in the state that this step needs; look at it again."""


class Collection(Generic[Item]):
    """Objects of one kind by id and by order of creation; `created` never decreases along the order."""

    def __init__(
        self, view: Callable[[Item], Json], item_id: Callable[[Item], str], created: Callable[[Item], int]
    ) -> None:
        """`view` is the object as the API shows it; the other two are what can be known without making it."""
        self.view = view
        self._id = item_id
        self._created = created
        self._items: list[Item] = []
        self._positions: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def add(self, item: Item) -> None:
        self._positions[self._id(item)] = len(self._items)
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
        """Find the position of the first item that was created at this time or later."""
        return bisect_left(self._items, created, key=self._created)


@dataclass(slots=True)
class SessionRecord:
    """A Checkout Session with what its object does not show."""

    object: Json
    request: SessionRequest
    # Made when they are first asked for.
    line_items: list[Json] | None = None
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

    @property
    def authentication_path(self) -> str:
        """Where the customer confirms to the bank: a page of its own, or one inside the shop's."""
        return f"/{'c' if self.request.ui_mode == 'hosted_page' else 'elements'}/authenticate/{self.id}"


@dataclass(slots=True)
class SubscriptionRecord:
    """A Subscription with what its object does not show: the card it charges, and how many cycles have begun."""

    object: Json
    recurring: Recurring
    instrument: Instrument | None
    cycle: int = 0

    @property
    def id(self) -> str:
        return str(self.object["id"])

    @property
    def is_live(self) -> bool:
        return bool(self.object["status"] != "canceled")

    @property
    def items(self) -> list[Json]:
        items: list[Json] = self.object["items"]["data"]
        return items

    @property
    def period_end(self) -> int:
        return int(self.items[0]["current_period_end"])


@dataclass(slots=True)
class EventRecord:
    """An event: the bytes that are sent for it, which are also its snapshot, and how its delivery goes."""

    id: str
    type: str
    created: int
    body: bytes
    pending_webhooks: int

    def view(self) -> Json:
        event: Json = orjson.loads(self.body)
        event["pending_webhooks"] = self.pending_webhooks
        return event


def _json_collection() -> Collection[Json]:
    return Collection(lambda item: item, lambda item: str(item["id"]), lambda item: int(item["created"]))


class Store:
    """All objects."""

    def __init__(self) -> None:
        self.sessions: Collection[SessionRecord] = Collection(
            lambda record: record.object, lambda record: record.id, lambda record: int(record.object["created"])
        )
        self.payment_intents = _json_collection()
        self.charges = _json_collection()
        self.refunds = _json_collection()
        self.disputes = _json_collection()
        self.balance_transactions = _json_collection()
        self.customers = _json_collection()
        self.subscriptions: Collection[SubscriptionRecord] = Collection(
            lambda record: record.object, lambda record: record.id, lambda record: int(record.object["created"])
        )
        self.invoices = _json_collection()
        self.invoice_payments = _json_collection()
        self.events: Collection[EventRecord] = Collection(
            EventRecord.view, lambda record: record.id, lambda record: record.created
        )
        self.session_of_payment_intent: dict[str, str] = {}
        self.payment_of_invoice: dict[str, str] = {}
        # What paid a charge: it decides how the charge's refunds go.
        self.instrument_of_charge: dict[str, Instrument] = {}
