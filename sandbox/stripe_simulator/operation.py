"""What an operation of the API is, and the two kinds that every object has: retrieve and list.

An operation reads its parameters first and returns the work still to do. The split matters to idempotency: a refused
parameter is no execution, and its answer is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.stripe_simulator import errors
from sandbox.stripe_simulator.expand import expanded
from sandbox.stripe_simulator.lists import PAGING, Selection, created_range, page
from sandbox.stripe_simulator.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.stripe_simulator.events import Cause
    from sandbox.stripe_simulator.forms import Form
    from sandbox.stripe_simulator.simulator import Simulator
    from sandbox.stripe_simulator.state import Collection, Json

    Work = Callable[[], Json]

EXPAND = frozenset({"expand"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one operation; `object_id` is the id in the path, or empty."""

    simulator: Simulator
    object_id: str
    form: Form
    cause: Cause


@dataclass(frozen=True, slots=True)
class Operation:
    """A named operation: its own endpoint for the rate limits."""

    name: str
    prepare: Callable[[Call], Work]


# Method and path below /v1, where * stands for an id.
Routes = dict[tuple[str, tuple[str, ...]], Operation]


def retrieve(kind: str, param: str, collection: str) -> Callable[[Call], Work]:
    """Make an operation that gives one object of a collection of the store."""

    def prepare(call: Call) -> Work:
        paths = Parameters(call.form, EXPAND).strings("expand")
        items: Collection[Any] = getattr(call.simulator.store, collection)  # Any: every kind of object

        def work() -> Json:
            item = items.get(call.object_id)
            if item is None:
                raise errors.missing_resource(kind, call.object_id, param)
            return expanded(items.view(item), paths, call.simulator)

        return work

    return prepare


def listing(kind: str, collection: str, filters: tuple[str, ...]) -> Callable[[Call], Work]:
    """Make an operation that lists a collection of the store; each filter is a field that must be equal."""

    def prepare(call: Call) -> Work:
        parameters = Parameters(call.form, PAGING | set(filters))
        wanted = {name: parameters.string(name) for name in filters if name in parameters}
        items: Collection[Json] = getattr(call.simulator.store, collection)

        def matches(item: Json) -> bool:
            return all(item[name] == value for name, value in wanted.items())

        return page_work(call, parameters, Selection(kind, items, created_range(parameters, items), matches))

    return prepare


def page_work(call: Call, parameters: Parameters, selection: Selection) -> Work:
    """Return the work of showing one page of a selection."""
    url = "/v1/checkout/sessions" if selection.kind == "checkout.session" else f"/v1/{selection.kind}s"
    paths = parameters.strings("expand")
    return lambda: expanded(page(parameters, url, selection), paths, call.simulator)
