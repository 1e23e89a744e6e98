"""The operations of the API: each reads its parameters first and returns the work still to do.

The split matters to idempotency: a refused parameter is no execution, and its answer is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sandbox.stripe_simulator import errors
from sandbox.stripe_simulator.expand import expanded
from sandbox.stripe_simulator.lists import PAGING, Selection, created_range, page
from sandbox.stripe_simulator.parameters import Parameters
from sandbox.stripe_simulator.session_parameters import read_session_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.stripe_simulator.events import Cause
    from sandbox.stripe_simulator.forms import Form
    from sandbox.stripe_simulator.simulator import Simulator
    from sandbox.stripe_simulator.state import Collection, EventRecord, Json, SessionRecord

    Work = Callable[[], Json]

_EXPAND = frozenset({"expand"})
_EVENTS_KEPT_SECONDS = 30 * 86_400
_EVENT_TYPES_MAX = 20


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


def find_operation(method: str, path: str) -> tuple[Operation, str]:
    """Find the operation of a path below /v1, and the id in it. Raises ApiError (404) when there is none."""
    steps = path.strip("/").split("/")
    for (known_method, pattern), operation in _ROUTES.items():
        if method == known_method and len(steps) == len(pattern):
            ids = [step for step, part in zip(steps, pattern, strict=True) if part == "*"]
            if all(part in {"*", step} for step, part in zip(steps, pattern, strict=True)):
                return operation, ids[0] if ids else ""
    message = f"Unrecognized request URL ({method}: /v1/{path.strip('/')})."
    raise errors.ApiError(404, f"{message} The simulator may not know it.")


def _create_session(call: Call) -> Work:
    simulator = call.simulator
    request = read_session_request(call.form, simulator.clock.seconds())
    paths = Parameters(call.form, call.form).strings("expand")
    return lambda: expanded(simulator.sessions.create(request).object, paths, simulator)


def _expire_session(call: Call) -> Work:
    simulator = call.simulator
    paths = Parameters(call.form, _EXPAND).strings("expand")

    def work() -> Json:
        record = simulator.store.sessions.get(call.object_id)
        if record is None:
            raise errors.missing_resource("checkout.session", call.object_id, "session")
        simulator.sessions.expire(record, call.cause)
        return expanded(record.object, paths, simulator)

    return work


def _list_sessions(call: Call) -> Work:
    filters = ("customer", "customer_account", "payment_link", "status", "subscription")
    store = call.simulator.store
    parameters = Parameters(call.form, PAGING | {*filters, "payment_intent", "customer_details"})
    parameters.choice("status", {"open", "complete", "expired"})
    wanted = {name: parameters.string(name) for name in filters if name in parameters}
    details = parameters.child("customer_details", {"email"})
    email = details.required("email") if details else None
    positions = created_range(parameters, store.sessions)
    intent = parameters.string("payment_intent")
    if intent is not None:
        position = store.sessions.position(store.session_of_payment_intent.get(intent, ""))
        positions = range(position, position + 1) if position is not None and position in positions else range(0)

    def matches(record: SessionRecord) -> bool:
        session = record.object
        if email is not None and (session["customer_details"] or {}).get("email") != email:
            return False
        return all(session[name] == value for name, value in wanted.items())

    return _page_work(call, parameters, Selection("checkout.session", store.sessions, positions, matches))


def _list_payment_intents(call: Call) -> Work:
    parameters = Parameters(call.form, PAGING | {"customer", "customer_account"})
    return _filtered(call, parameters, "payment_intent", call.simulator.store.payment_intents, ("customer",))


def _list_charges(call: Call) -> Work:
    parameters = Parameters(call.form, PAGING | {"customer", "payment_intent", "transfer_group"})
    names = ("customer", "payment_intent", "transfer_group")
    return _filtered(call, parameters, "charge", call.simulator.store.charges, names)


def _list_events(call: Call) -> Work:
    parameters = Parameters(call.form, PAGING | {"delivery_success", "type", "types"})
    patterns = parameters.strings("types")
    if len(patterns) > _EVENT_TYPES_MAX:
        raise errors.invalid_parameter("types", f"You can pass at most {_EVENT_TYPES_MAX} types")
    pattern = parameters.string("type")
    if pattern and patterns:
        raise errors.invalid_parameter("type", "You may pass only one of type and types.")
    patterns = [pattern] if pattern else patterns
    delivered = parameters.boolean("delivery_success")
    events = call.simulator.store.events
    in_range = created_range(parameters, events)
    oldest = events.first_since(call.simulator.clock.seconds() - _EVENTS_KEPT_SECONDS)

    def matches(event: EventRecord) -> bool:
        if delivered is not None and delivered != (event.pending_webhooks == 0):
            return False
        return not patterns or any(fnmatchcase(event.type, wanted) for wanted in patterns)

    positions = range(max(in_range.start, oldest), in_range.stop)
    return _page_work(call, parameters, Selection("event", events, positions, matches))


def _filtered(call: Call, parameters: Parameters, kind: str, items: Collection[Json], names: tuple[str, ...]) -> Work:
    wanted = {name: parameters.string(name) for name in names if name in parameters}

    def matches(item: Json) -> bool:
        return all(item[name] == value for name, value in wanted.items())

    return _page_work(call, parameters, Selection(kind, items, created_range(parameters, items), matches))


def _page_work(call: Call, parameters: Parameters, selection: Selection) -> Work:
    url = "/v1/checkout/sessions" if selection.kind == "checkout.session" else f"/v1/{selection.kind}s"
    paths = parameters.strings("expand")
    return lambda: expanded(page(parameters, url, selection), paths, call.simulator)


def _retrieve(kind: str, param: str, collection: str) -> Callable[[Call], Work]:
    """Make an operation that gives one object of a collection of the store."""

    def prepare(call: Call) -> Work:
        paths = Parameters(call.form, _EXPAND).strings("expand")
        items: Collection[Any] = getattr(call.simulator.store, collection)  # Any: every kind of object

        def work() -> Json:
            item = items.get(call.object_id)
            if item is None:
                raise errors.missing_resource(kind, call.object_id, param)
            return expanded(items.view(item), paths, call.simulator)

        return work

    return prepare


_SESSIONS = ("checkout", "sessions")
_ROUTES = {
    ("POST", _SESSIONS): Operation("checkout.sessions.create", _create_session),
    ("GET", _SESSIONS): Operation("checkout.sessions.list", _list_sessions),
    ("GET", (*_SESSIONS, "*")): Operation(
        "checkout.sessions.retrieve", _retrieve("checkout.session", "session", "sessions")
    ),
    ("POST", (*_SESSIONS, "*", "expire")): Operation("checkout.sessions.expire", _expire_session),
    ("GET", ("payment_intents",)): Operation("payment_intents.list", _list_payment_intents),
    ("GET", ("payment_intents", "*")): Operation(
        "payment_intents.retrieve", _retrieve("payment_intent", "intent", "payment_intents")
    ),
    ("GET", ("charges",)): Operation("charges.list", _list_charges),
    ("GET", ("charges", "*")): Operation("charges.retrieve", _retrieve("charge", "id", "charges")),
    ("GET", ("events",)): Operation("events.list", _list_events),
    ("GET", ("events", "*")): Operation("events.retrieve", _retrieve("event", "id", "events")),
}
