"""Every operation of the API by its path, and those of Checkout Sessions and events."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sandbox.stripe_simulator import errors
from sandbox.stripe_simulator.billing_operations import BILLING_ROUTES
from sandbox.stripe_simulator.dispute_operations import DISPUTE_ROUTES
from sandbox.stripe_simulator.expand import expanded
from sandbox.stripe_simulator.lists import PAGING, Selection, created_range
from sandbox.stripe_simulator.operation import EXPAND, Call, Operation, Routes, listing, page_work, retrieve
from sandbox.stripe_simulator.parameters import Parameters
from sandbox.stripe_simulator.refund_operations import REFUND_ROUTES
from sandbox.stripe_simulator.session_parameters import read_session_request

if TYPE_CHECKING:
    from sandbox.stripe_simulator.operation import Work
    from sandbox.stripe_simulator.state import EventRecord, Json, SessionRecord

_EVENTS_KEPT_SECONDS = 30 * 86_400
_EVENT_TYPES_MAX = 20


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
    paths = Parameters(call.form, EXPAND).strings("expand")

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

    return page_work(call, parameters, Selection("checkout.session", store.sessions, positions, matches))


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
    return page_work(call, parameters, Selection("event", events, positions, matches))


_SESSIONS = ("checkout", "sessions")
_ROUTES: Routes = {
    ("POST", _SESSIONS): Operation("checkout.sessions.create", _create_session),
    ("GET", _SESSIONS): Operation("checkout.sessions.list", _list_sessions),
    ("GET", (*_SESSIONS, "*")): Operation(
        "checkout.sessions.retrieve", retrieve("checkout.session", "session", "sessions")
    ),
    ("POST", (*_SESSIONS, "*", "expire")): Operation("checkout.sessions.expire", _expire_session),
    ("GET", ("payment_intents",)): Operation(
        "payment_intents.list", listing("payment_intent", "payment_intents", ("customer", "customer_account"))
    ),
    ("GET", ("payment_intents", "*")): Operation(
        "payment_intents.retrieve", retrieve("payment_intent", "intent", "payment_intents")
    ),
    ("GET", ("charges",)): Operation(
        "charges.list", listing("charge", "charges", ("customer", "payment_intent", "transfer_group"))
    ),
    ("GET", ("charges", "*")): Operation("charges.retrieve", retrieve("charge", "id", "charges")),
    ("GET", ("events",)): Operation("events.list", _list_events),
    ("GET", ("events", "*")): Operation("events.retrieve", retrieve("event", "id", "events")),
    **REFUND_ROUTES,
    **DISPUTE_ROUTES,
    **BILLING_ROUTES,
}
