"""The control API below /_control: the simulator's remote control for tests, demo and scripts; never part of Stripe.

It has no authentication: the simulator binds to the loopback address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.stripe_simulator.billing_control import BillingControl
from sandbox.stripe_simulator.control_endpoint import Handler, control_route
from sandbox.stripe_simulator.dispute_control import DisputeControl
from sandbox.stripe_simulator.payment_methods import (
    CARD,
    METHODS,
    Failure,
    Instrument,
    Kind,
    account,
    card,
    redirect,
    voucher,
    with_details,
)
from sandbox.stripe_simulator.refund_control import RefundControl
from sandbox.stripe_simulator.session_parameters import read_session_request
from sandbox.stripe_simulator.statistics import session_row, statistics

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from sandbox.stripe_simulator.forms import Form
    from sandbox.stripe_simulator.simulator import Simulator
    from sandbox.stripe_simulator.state import Json, SessionRecord

_SUCCEEDS = "4242424242424242"
_DECLINES = "4000000000000002"


class Control:
    """Routes of the control API. Bad input is a 400, a step that the state forbids a 409, each with `error`."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[Route]:
        session = "/_control/sessions/{session_id}"
        handlers: list[tuple[str, str, Handler]] = [
            ("GET", "/_control/stats", lambda _request, _body: statistics(self._simulator)),
            ("DELETE", "/_control/stats", self._reset_counts),
            ("POST", "/_control/clock", self._move_clock),
            ("GET", "/_control/faults", lambda _request, _body: self._simulator.faults.describe()),
            ("POST", "/_control/faults", self._add_faults),
            ("DELETE", "/_control/faults", self._clear_faults),
            ("POST", "/_control/limits", self._set_limits),
            ("POST", "/_control/webhooks", self._set_webhooks),
            ("POST", "/_control/webhooks/release", self._release_webhooks),
            ("POST", "/_control/events/{event_id}/resend", self._resend),
            ("GET", "/_control/sessions", self._list_sessions),
            ("GET", session, lambda request, _body: session_row(self._session(request))),
            ("POST", f"{session}/pay", self._pay),
            ("POST", f"{session}/decline", self._decline),
            ("POST", f"{session}/settle", self._settle),
            ("POST", f"{session}/expire", self._expire),
            ("POST", "/_control/foreign_sessions", self._pay_foreign),
            *RefundControl(self._simulator).handlers(),
            *DisputeControl(self._simulator).handlers(),
            *BillingControl(self._simulator).handlers(),
        ]
        return [control_route(*handler) for handler in handlers]

    def _reset_counts(self, _request: Request, _body: Json) -> Json:
        self._simulator.limits.reset_counts()
        return {}

    def _move_clock(self, _request: Request, body: Json) -> Json:
        fired = self._simulator.clock.advance(float(body.get("advance_seconds", 0)))
        self._simulator.keys.prune()
        self._simulator.run_once()
        return {"now": self._simulator.clock.now(), "fired": fired}

    def _add_faults(self, _request: Request, body: Json) -> object:
        for rule in body["rules"]:
            self._simulator.faults.add(rule)
        return self._simulator.faults.describe()

    def _clear_faults(self, _request: Request, _body: Json) -> object:
        self._simulator.faults.clear()
        return []

    def _set_limits(self, _request: Request, body: Json) -> Json:
        limits = self._simulator.limits
        limits.per_endpoint = int(body.get("per_endpoint", limits.per_endpoint))
        limits.total = int(body.get("total", limits.total))
        return {"per_endpoint": limits.per_endpoint, "total": limits.total}

    def _set_webhooks(self, _request: Request, body: Json) -> Json:
        webhooks = self._simulator.webhooks
        webhooks.options.change(body)
        options = webhooks.options
        return {name: getattr(options, name) for name in options.__slots__}

    def _release_webhooks(self, _request: Request, _body: Json) -> Json:
        return {"released": self._simulator.webhooks.release()}

    def _resend(self, request: Request, _body: Json) -> Json:
        record = self._simulator.store.events.get(request.path_params["event_id"])
        if record is None:
            raise KeyError("no such event")
        self._simulator.webhooks.resend(record)
        return {}

    def _list_sessions(self, request: Request, _body: Json) -> object:
        wanted = dict(request.query_params)
        rows = (session_row(record) for record in self._simulator.store.sessions)
        return [row for row in rows if all(str(row.get(name)) == value for name, value in wanted.items())]

    def _pay(self, request: Request, body: Json) -> Json:
        """Pay as a customer would; an authentication step is passed unless `authenticate` is "fail" or "wait"."""
        record = self._session(request)
        self._confirm(record, _instrument(body, record), str(body.get("authenticate", "pass")))
        return session_row(record)

    def _decline(self, request: Request, body: Json) -> Json:
        record = self._session(request)
        self._confirm(record, _instrument({"card": _DECLINES, **body}, record), "pass")
        return session_row(record)

    def _confirm(self, record: SessionRecord, instrument: Instrument, authenticate: str) -> None:
        checkout = self._simulator.checkout
        if not checkout.awaits_customer(record):
            checkout.confirm(record, instrument)
        if checkout.awaits_customer(record) and authenticate != "wait":
            checkout.authenticate(record, passed=authenticate == "pass")

    def _settle(self, request: Request, body: Json) -> Json:
        record = self._session(request)
        self._simulator.checkout.settle(record, succeed=bool(body.get("succeed", True)))
        return session_row(record)

    def _expire(self, request: Request, _body: Json) -> Json:
        record = self._session(request)
        self._simulator.sessions.expire(record)
        return session_row(record)

    def _pay_foreign(self, _request: Request, body: Json) -> Json:
        """Make a paid session of a payment link, as another shop on the account would."""
        item: Form = {
            "price_data": {
                "currency": str(body.get("currency", "eur")),
                "unit_amount": str(body.get("amount", 1000)),
                "product_data": {"name": "Payment link"},
            },
            "quantity": "1",
        }
        form: Form = {"mode": "payment", "success_url": "https://example.com/thanks", "line_items": {"0": item}}
        form |= {name: body[name] for name in ("client_reference_id", "metadata") if name in body}
        checked = read_session_request(form, self._simulator.clock.seconds())
        link = str(body.get("payment_link") or self._simulator.ids.object("plink"))
        record = self._simulator.sessions.create(checked, payment_link=link)
        if body.get("pay", True):
            self._confirm(record, _instrument(body, record), "pass")
        return session_row(record)

    def _session(self, request: Request) -> SessionRecord:
        self._simulator.run_once()
        record = self._simulator.store.sessions.get(request.path_params["session_id"])
        if record is None:
            raise KeyError("no such session")
        return record


def _instrument(body: Json, record: SessionRecord) -> Instrument:
    """Choose what a script pays with: `method` is a kind (see Kind) or a type of Stripe's. Raises ValueError."""
    wanted = str(body.get("method", "card"))
    offered = [METHODS[name] for name in record.request.offered_types]
    method = next((method for method in offered if wanted in {method.type, method.kind.value}), None)
    if method is None and not record.request.collects_payment_method:
        method = CARD
    if method is None:
        raise ValueError(f"the session offers {', '.join(record.request.offered_types) or 'nothing'}, not {wanted}")
    match method.kind:
        case Kind.CARD:
            found = card(str(body.get("card", _SUCCEEDS)))
        case Kind.REDIRECT:
            found = redirect(method)
        case Kind.DELAYED:
            number = method.account_succeeds if body.get("succeed", True) else method.account_fails
            found = account(method, number)
        case Kind.VOUCHER:
            found = voucher(method, paid=bool(body.get("succeed", True)))
    if isinstance(found, Failure):
        raise ValueError(found.message)  # noqa: TRY004 - the value is wrong, not its type
    override = body.get("amount_override")
    email, name = str(body.get("email", "customer@example.com")), str(body.get("name", "Jenny Rosen"))
    return with_details(found, email, name, None if override is None else int(override))
