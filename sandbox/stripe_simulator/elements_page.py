"""Card fields on a shop's own page: the stand-in for Stripe's browser script, and what it talks to.

The fields stand in a frame of the simulator's, so that no card number ever reaches the shop's page or server. What was
typed is looked up and forgotten, as on the hosted page.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.stripe_simulator.currency import format_amount, minor_units_divisor
from sandbox.stripe_simulator.pages import TEMPLATES, Pages
from sandbox.stripe_simulator.payment_form import FormError, read_instrument

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.stripe_simulator.simulator import Simulator
    from sandbox.stripe_simulator.state import Json, SessionRecord

# Any shop's page may load the script and read its own session.
_FOREIGN = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
_NO_STORE = {"Cache-Control": "no-store"}


class ElementsPage:
    """What lies below /js and /elements."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._pages = Pages()
        self._script = (TEMPLATES / "stripe.js").read_bytes()

    def routes(self) -> list[Route]:
        session = "/elements/sessions/{session_id}"
        return [
            Route("/js/stripe.js", self.script, methods=["GET"]),
            Route(session, self.session, methods=["GET"]),
            Route(f"{session}/card", self.card, methods=["GET"]),
            Route(f"{session}/confirm", self.confirm, methods=["POST"]),
            Route("/elements/authenticate/{session_id}", self.show_authentication, methods=["GET"]),
            Route("/elements/authenticate/{session_id}", self.authenticate, methods=["POST"]),
        ]

    async def script(self, _request: Request) -> Response:
        return Response(self._script, media_type="text/javascript; charset=utf-8", headers={**_FOREIGN, **_NO_STORE})

    async def session(self, request: Request) -> Response:
        """Answer what the shop's page may know of the session whose client secret it has."""
        key = request.query_params.get("key", "")
        if not key.startswith("pk_"):
            message = "Use a publishable key (pk_...) with Stripe.js; a secret key belongs on your server."
            return _refusal(message, 401)
        record = self._find(request, request.query_params.get("client_secret", ""))
        if record is None:
            return _refusal("The client secret does not belong to a Checkout Session with ui_mode=elements.", 404)
        return JSONResponse(self._view(record), headers={**_FOREIGN, **_NO_STORE})

    async def card(self, request: Request) -> Response:
        """Show the frame with the card fields."""
        secret = request.query_params.get("client_secret", "")
        record = self._find(request, secret)
        if record is None:
            return Response("no such session", 404)
        path = f"/elements/sessions/{record.id}/confirm"
        return self._pages.render("card_element.html", {"path": path, "client_secret": secret}, framed=True)

    async def confirm(self, request: Request) -> Response:
        """Take the frame's form, or say how the last step went (`step=status`).

        Between the look at the session and the charge nothing else runs.
        """
        form = {name: str(value) for name, value in (await request.form()).items()}
        record = self._find(request, form.get("client_secret", ""))
        if record is None:
            return _refusal("The client secret does not belong to a session.", 404)
        asks_only = form.get("step") == "status"
        if record.is_open and not asks_only and not self._simulator.checkout.awaits_customer(record):
            try:
                email = form.get("email") or record.object["customer_email"] or ""
                typed = {**form, "method": "card", "email": email}
                instrument = read_instrument(typed, record, self._simulator.clock.now())
            except FormError as error:
                return _error(str(error))
            self._simulator.checkout.confirm(record, instrument)
        return self._outcome(record)

    async def show_authentication(self, request: Request) -> Response:
        record = self._find(request)
        if record is None:
            return Response("no such session", 404)
        if not self._simulator.checkout.awaits_customer(record) or record.pending is None:
            return self._pages.render("authenticated.html", {}, framed=True)
        context: dict[str, object] = {
            "merchant": self._simulator.config.merchant_name,
            "amount": format_amount(int(record.object["amount_total"]), record.request.currency),
            "method": record.pending.method,
            "last4": record.pending.last4,
        }
        return self._pages.render("authenticate.html", context, framed=True)

    async def authenticate(self, request: Request) -> Response:
        form = await request.form()
        record = self._find(request)
        if record is None:
            return Response("no such session", 404)
        if self._simulator.checkout.awaits_customer(record):
            self._simulator.checkout.authenticate(record, passed=form.get("decision") == "approve")
        return self._pages.render("authenticated.html", {}, framed=True)

    def _find(self, request: Request, client_secret: str | None = None) -> SessionRecord | None:
        """Find the session of the path; with a client secret only if it is the session's own."""
        self._simulator.run_once()
        record = self._simulator.store.sessions.get(request.path_params["session_id"])
        if record is None or record.request.ui_mode != "elements":
            return None
        known = str(record.object["client_secret"])
        if client_secret is not None and not hmac.compare_digest(client_secret.encode(), known.encode()):
            return None
        return record

    def _outcome(self, record: SessionRecord) -> Response:
        """Say how the session stands after a step."""
        if self._simulator.checkout.awaits_customer(record):
            action = {"type": "requires_action", "path": record.authentication_path}
            return JSONResponse(action, headers=_NO_STORE)
        if record.error is not None:
            intent = self._simulator.payments.intent_of(record)
            failed = (intent or {}).get("last_payment_error") or {}
            return _error(record.error, "paymentFailed", paymentFailed={"declineCode": failed.get("decline_code")})
        if record.object["status"] != "complete":
            return _error("This Checkout Session can no longer be paid.", "sessionClosed")
        return JSONResponse({"type": "success", **self._view(record)}, headers=_NO_STORE)

    def _view(self, record: SessionRecord) -> Json:
        shown, request = record.object, record.request
        payment_status = shown["payment_status"] if shown["status"] == "complete" else None
        return {
            "session": {
                "id": record.id,
                "businessName": self._simulator.config.merchant_name,
                "canConfirm": record.is_open,
                "currency": request.currency,
                "email": shown["customer_email"],
                "lineItems": [
                    {"name": item.name, "quantity": item.quantity, "total": _amount(item.amount, request.currency)}
                    for item in request.line_items
                ],
                "livemode": False,
                "minorUnitsAmountDivisor": minor_units_divisor(request.currency),
                "recurring": _recurring(record),
                "status": {"type": shown["status"], "paymentStatus": payment_status},
                "total": {"total": _amount(int(shown["amount_total"]), request.currency)},
            },
            "return_url": str(shown["return_url"]).replace("{CHECKOUT_SESSION_ID}", record.id),
        }


def _recurring(record: SessionRecord) -> Json | None:
    every = record.request.recurring
    if every is None:
        return None
    due_next = {"total": _amount(record.request.amount_recurring, record.request.currency)}
    return {"interval": every.interval, "intervalCount": every.count, "dueNext": due_next}


def _amount(minor_units: int, currency: str) -> Json:
    return {"amount": format_amount(minor_units, currency), "minorUnitsAmount": minor_units}


def _error(message: str, code: str | None = None, **details: object) -> Response:
    """Answer a step that failed: the customer may try again."""
    error = {"message": message, "code": code, **details}
    return JSONResponse({"type": "error", "error": error}, headers=_NO_STORE)


def _refusal(message: str, status: int) -> Response:
    return JSONResponse({"error": {"message": message}}, status, headers={**_FOREIGN, **_NO_STORE})
