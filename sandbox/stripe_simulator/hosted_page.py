"""The hosted payment page, for a person with a browser: plain HTML forms, nothing from elsewhere.

It shows an open session, takes a test instrument, and sends the customer back. What was typed is looked up and
forgotten; real card numbers are refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe_simulator.currency import format_amount
from sandbox.stripe_simulator.pages import Pages
from sandbox.stripe_simulator.payment_form import FormError, grouped, read_instrument
from sandbox.stripe_simulator.payment_methods import METHODS, TEST_CARDS

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.stripe_simulator.line_items import LineItem
    from sandbox.stripe_simulator.simulator import Simulator
    from sandbox.stripe_simulator.state import SessionRecord


class HostedPage:
    """The pages below /c of one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._pages = Pages()

    def routes(self) -> list[Route]:
        return [
            Route("/c/pay/{session_id}", self.show, methods=["GET"]),
            Route("/c/pay/{session_id}", self.pay, methods=["POST"]),
            Route("/c/authenticate/{session_id}", self.show_authentication, methods=["GET"]),
            Route("/c/authenticate/{session_id}", self.authenticate, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        record = self._find(request)
        if record is None or not record.is_open:
            return self._closed(record)
        if self._simulator.checkout.awaits_customer(record):
            return self._to_authentication(record)
        return self._page(record, record.error, 200)

    async def pay(self, request: Request) -> Response:
        """Take the form. Between the look at the session and the charge nothing else runs, so no click pays twice."""
        form = {name: str(value) for name, value in (await request.form()).items()}
        record = self._find(request)
        if record is None or record.object["status"] == "expired":
            return self._closed(record)
        if not record.is_open:
            return await self._back_to_merchant(record)
        if self._simulator.checkout.awaits_customer(record):
            return self._to_authentication(record)
        if form.get("confirmation") != str(record.confirmations):
            return self._to_page(record)
        try:
            instrument = read_instrument(form, record, self._simulator.clock.now())
        except FormError as error:
            return self._page(record, str(error), 422, form)
        self._simulator.checkout.confirm(record, instrument)
        return await self._after_step(record)

    async def show_authentication(self, request: Request) -> Response:
        record = self._find(request)
        if record is None or not record.is_open:
            return self._closed(record)
        if not self._simulator.checkout.awaits_customer(record) or record.pending is None:
            return self._to_page(record)
        context = {**self._common(record), "method": record.pending.method, "last4": record.pending.last4}
        return self._pages.render("authenticate.html", context)

    async def authenticate(self, request: Request) -> Response:
        form = await request.form()
        record = self._find(request)
        if record is None or record.object["status"] == "expired":
            return self._closed(record)
        if self._simulator.checkout.awaits_customer(record):
            self._simulator.checkout.authenticate(record, passed=form.get("decision") == "approve")
        return await self._after_step(record)

    def _find(self, request: Request) -> SessionRecord | None:
        self._simulator.run_once()
        record = self._simulator.store.sessions.get(request.path_params["session_id"])
        return record if record is not None and record.request.ui_mode == "hosted_page" else None

    async def _after_step(self, record: SessionRecord) -> Response:
        if not record.is_open:
            return await self._back_to_merchant(record)
        if self._simulator.checkout.awaits_customer(record):
            return self._to_authentication(record)
        return self._to_page(record)

    async def _back_to_merchant(self, record: SessionRecord) -> Response:
        """Send to the success URL, as Checkout does: once the webhook is answered or 10 seconds have passed."""
        if record.completed_event_id:
            wait = self._simulator.config.redirect_wait_seconds
            await self._simulator.webhooks.first_attempt(record.completed_event_id, wait)
        url = str(record.object["success_url"]).replace("{CHECKOUT_SESSION_ID}", record.id)
        return RedirectResponse(url, 303)

    def _to_page(self, record: SessionRecord) -> Response:
        return RedirectResponse(f"{self._simulator.config.base_url}/c/pay/{record.id}", 303)

    def _to_authentication(self, record: SessionRecord) -> Response:
        return RedirectResponse(f"{self._simulator.config.base_url}{record.authentication_path}", 303)

    def _page(
        self, record: SessionRecord, error: str | None, status: int, form: dict[str, str] | None = None
    ) -> Response:
        methods = [METHODS[name] for name in record.request.offered_types]
        typed = form or {}
        context = {
            **self._common(record),
            "items": [(item.name, item.quantity, _price(item)) for item in record.request.line_items],
            "methods": methods,
            "chosen": typed.get("method") or record.last_method or (methods[0].type if methods else ""),
            "email": typed.get("email") or record.object["customer_email"] or "",
            "error": error,
            "confirmation": record.confirmations,
            "free": not record.request.collects_payment_method,
            "plan": _plan(record, self._simulator.clock.seconds()),
            "test_cards": [(grouped(number), meaning) for number, (meaning, _) in TEST_CARDS.items()],
        }
        return self._pages.render("pay.html", context, status)

    def _closed(self, record: SessionRecord | None) -> Response:
        """Nothing to pay here: never was, is over, or is paid."""
        status = None if record is None else str(record.object["status"])
        context = {
            "merchant": self._simulator.config.merchant_name,
            "status": status,
            "unpaid": record is not None and record.object["payment_status"] == "unpaid",
            "cancel_url": record.object["cancel_url"] if record is not None else None,
        }
        return self._pages.render("closed.html", context, {"complete": 200, "expired": 410}.get(status or "", 404))

    def _common(self, record: SessionRecord) -> dict[str, object]:
        total = int(record.object["amount_total"])
        return {
            "merchant": self._simulator.config.merchant_name,
            "amount": format_amount(total, record.request.currency),
            "cancel_url": record.object["cancel_url"],
        }


def _price(item: LineItem) -> str:
    amount = format_amount(item.amount, item.currency)
    return f"{amount} / {item.recurring}" if item.recurring else amount


def _plan(record: SessionRecord, now: int) -> str | None:
    """Say what a subscription costs later; None in payment mode."""
    request = record.request
    if request.recurring is None:
        return None
    later = f"{format_amount(request.amount_recurring, request.currency)} per {request.recurring}"
    trial_end = request.subscription_data.trial_end(now)
    if trial_end is None:
        return f"Then {later}, until you cancel."
    return f"Free until {datetime.fromtimestamp(trial_end, UTC):%d %B %Y}, then {later}, until you cancel."
