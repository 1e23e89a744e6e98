"""A small blocking client of the control API, for tests, demo and scripts."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT_SECONDS = 30.0


class ControlError(Exception):
    """The simulator refused: 400 is wrong input, 404 an unknown id, 409 a step that the state forbids."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Control:
    """Blocks for each call; raises ControlError, or OSError when the simulator is away. Answers are plain JSON."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._call("GET", "stats")
        return answer

    def reset_counts(self) -> None:
        """Forget calls, refusals and the most calls per second."""
        self._call("DELETE", "stats")

    def advance_clock(self, seconds: float) -> dict[str, Any]:
        """Move the simulator's clock; what becomes due happens before this returns (webhooks leave after it)."""
        answer: dict[str, Any] = self._call("POST", "clock", {"advance_seconds": seconds})
        return answer

    def add_fault(self, kind: str, **rule: Any) -> None:
        """Add one fault rule; see faults.Rule for its fields."""
        self._call("POST", "faults", {"rules": [{"kind": kind, **rule}]})

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    def set_limits(self, *, per_endpoint: int, total: int) -> None:
        """Set the calls per second; 0 is no limit."""
        self._call("POST", "limits", {"per_endpoint": per_endpoint, "total": total})

    def set_webhooks(self, **options: Any) -> dict[str, Any]:
        """Change the endpoint or its faults; see webhook_options.WebhookOptions for the names."""
        answer: dict[str, Any] = self._call("POST", "webhooks", options)
        return answer

    def release_webhooks(self) -> int:
        """Send what is held back, shuffled; returns how many deliveries that are."""
        return int(self._call("POST", "webhooks/release")["released"])

    def resend(self, event_id: str) -> None:
        self._call("POST", f"events/{event_id}/resend")

    def sessions(self, **filters: str) -> list[dict[str, Any]]:
        """All sessions, oldest first, that equal the filters, such as order_id= or status=."""
        answer: list[dict[str, Any]] = self._call("GET", f"sessions?{urlencode(filters)}")
        return answer

    def session(self, session_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._call("GET", f"sessions/{session_id}")
        return answer

    def pay(self, session_id: str, **how: Any) -> dict[str, Any]:
        """Pay: method=card|redirect|delayed|voucher, card=number, succeed=bool, amount_override=minor units.

        A step of authentication is passed; authenticate=fail fails it, authenticate=wait leaves it open.
        """
        answer: dict[str, Any] = self._call("POST", f"sessions/{session_id}/pay", how)
        return answer

    def decline(self, session_id: str, **how: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._call("POST", f"sessions/{session_id}/decline", how)
        return answer

    def settle(self, session_id: str, *, succeed: bool) -> dict[str, Any]:
        """End a delayed debit that is processing, or a voucher that waits to be paid."""
        answer: dict[str, Any] = self._call("POST", f"sessions/{session_id}/settle", {"succeed": succeed})
        return answer

    def expire(self, session_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._call("POST", f"sessions/{session_id}/expire")
        return answer

    def pay_foreign(self, **what: Any) -> dict[str, Any]:
        """Make a paid session of a payment link: client_reference_id=, amount=, currency=, metadata=."""
        answer: dict[str, Any] = self._call("POST", "foreign_sessions", what)
        return answer

    def refunds(self, **filters: str) -> list[dict[str, Any]]:
        """All refunds, oldest first, that equal the filters: order_id=, reference=, payment_intent=, status=."""
        answer: list[dict[str, Any]] = self._call("GET", f"refunds?{urlencode(filters)}")
        return answer

    def succeed_refund(self, refund_id: str) -> dict[str, Any]:
        """End a pending refund well, before its time."""
        answer: dict[str, Any] = self._call("POST", f"refunds/{refund_id}/succeed")
        return answer

    def fail_refund(self, refund_id: str, *, reason: str = "unknown", after_seconds: float = 0) -> dict[str, Any]:
        """Fail a pending or succeeded refund, now or after so many seconds of the simulator's clock."""
        how = {"reason": reason, "after_seconds": after_seconds}
        answer: dict[str, Any] = self._call("POST", f"refunds/{refund_id}/fail", how)
        return answer

    def disputes(self, **filters: str) -> list[dict[str, Any]]:
        """All disputes, oldest first, that equal the filters: order_id=, payment_intent=, charge=, status=."""
        answer: list[dict[str, Any]] = self._call("GET", f"disputes?{urlencode(filters)}")
        return answer

    def open_dispute(self, **claim: Any) -> dict[str, Any]:
        """Dispute payment_intent= or charge=: reason=, inquiry=bool, amount=minor units, due_seconds=."""
        answer: dict[str, Any] = self._call("POST", "disputes", claim)
        return answer

    def move_dispute(self, dispute_id: str, status: str) -> dict[str, Any]:
        """Bring a dispute into a status that may follow; winning gives the funds back, escalating takes them."""
        answer: dict[str, Any] = self._call("POST", f"disputes/{dispute_id}/move", {"status": status})
        return answer

    def withdraw_funds(self, dispute_id: str) -> dict[str, Any]:
        """Take the disputed amount although the status does not ask for it."""
        answer: dict[str, Any] = self._call("POST", f"disputes/{dispute_id}/withdraw")
        return answer

    def reinstate_funds(self, dispute_id: str) -> dict[str, Any]:
        """Give the disputed amount back although the dispute is not won."""
        answer: dict[str, Any] = self._call("POST", f"disputes/{dispute_id}/reinstate")
        return answer

    def set_dunning(self, **options: Any) -> dict[str, Any]:
        """Set retry_seconds=[...], after_last=canceled|unpaid|past_due, draft_seconds=."""
        answer: dict[str, Any] = self._call("POST", "dunning", options)
        return answer

    def subscriptions(self, **filters: str) -> list[dict[str, Any]]:
        """All subscriptions, oldest first, that equal the filters: order_id=, status=, customer=."""
        answer: list[dict[str, Any]] = self._call("GET", f"subscriptions?{urlencode(filters)}")
        return answer

    def keep_card(self, subscription_id: str, card: str) -> dict[str, Any]:
        """Charge another test card from now on."""
        answer: dict[str, Any] = self._call("POST", f"subscriptions/{subscription_id}/card", {"card": card})
        return answer

    def cancel_subscription(self, subscription_id: str, *, at: str = "now") -> dict[str, Any]:
        """Cancel as somebody else than the shop's server would: at=now or period_end."""
        answer: dict[str, Any] = self._call("POST", f"subscriptions/{subscription_id}/cancel", {"at": at})
        return answer

    def invoices(self, **filters: str) -> list[dict[str, Any]]:
        """All invoices, oldest first, that equal the filters: order_id=, subscription=, status=."""
        answer: list[dict[str, Any]] = self._call("GET", f"invoices?{urlencode(filters)}")
        return answer

    def pay_invoice(self, invoice_id: str, card: str | None = None) -> dict[str, Any]:
        """Pay an open invoice as its customer, with this test card or the one that is kept."""
        answer: dict[str, Any] = self._call("POST", f"invoices/{invoice_id}/pay", {"card": card} if card else {})
        return answer

    def give_up_invoice(self, invoice_id: str, *, void: bool = False) -> dict[str, Any]:
        """Mark an open invoice uncollectible, or void it."""
        step = "void" if void else "mark_uncollectible"
        answer: dict[str, Any] = self._call("POST", f"invoices/{invoice_id}/{step}")
        return answer

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # Any: JSON
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_SECONDS)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, f"/_control/{path}", payload, {"Content-Type": "application/json"})
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        answer = json.loads(raw) if response.headers.get_content_type() == "application/json" else {}
        if response.status != http.client.OK:
            raise ControlError(response.status, str(answer.get("error", raw[:200])))
        return answer
