"""Which edits take a second person: those of how much, in what, how often, whether it is paid, and whose it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from payonce.domain.commands import Command
from payonce.domain.events import TokenIssued
from payonce.domain.terms import order_id_of
from payonce.ports.ops import Letter
from services.ops_console.money import names_money
from services.ops_console.refusals import Refused
from tests.fakes.dead_letters import garbage, letter, original, webhook
from tests.fakes.letter_edits import draft
from tests.fakes.orders import cancel, cancel_subscription, refresh, refund
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

ORDER = order_id_of("shop", "A-1")
OWN = {"order_id": ORDER, "attempt": "1", "body_hash": "v1:x"}
SESSION = {
    "object": "checkout.session",
    "id": "cs_1",
    "status": "complete",
    "payment_status": "unpaid",
    "amount_total": 1050,
    "currency": "eur",
    "payment_intent": "pi_1",
    "metadata": OWN,
}
REFUND = {"object": "refund", "id": "re_1", "status": "succeeded", "amount": 500, "currency": "eur"} | {
    "payment_intent": "pi_1",
    "metadata": {"order_id": ORDER},
}
LATE = "checkout.session.async_payment"
COMMAND = register()
TOKEN = TokenIssued(
    ORDER, COMMAND.command_id, 1, COMMAND.body_hash, "stripe", "cs_1", "https://psp.example/c", None, 1, None
)


def event(kind: str, thing: dict[str, Any]) -> Letter:
    """The dead letter of a webhook."""
    body = {"id": "evt_1", "type": kind, "created": int(START), "livemode": False, "object": "event"}
    document = {**body, "data": {"object": thing}}
    record = webhook(json.dumps(document).encode(), key=ORDER, kind=kind)
    return letter(record, reason="impossible_event", group="status_processor")


@pytest.mark.parametrize(
    "path",
    [
        "terms.amount",
        "terms.currency",
        "terms.payment_type",
        "terms.recurring.interval",
        "terms.recurring.interval_count",
        "terms.recurring.trial_days",
        "data.object.amount_total",
        "data.object.payment_status",
        "order_id",
    ],
)
def test_a_field_of_money_is_known_by_its_name(path: str) -> None:
    assert names_money(path)


@pytest.mark.parametrize("path", ["terms.description", "terms.customer_email", "terms.redirect_url", "api_version"])
def test_words_are_none(path: str) -> None:
    assert not names_money(path)


@pytest.mark.parametrize(
    ("kind", "thing", "changes"),
    [
        (f"{LATE}_failed", SESSION, {"type": f"{LATE}_succeeded"}),
        (f"{LATE}_succeeded", SESSION, {"type": f"{LATE}_failed"}),
        (f"{LATE}_succeeded", SESSION, {"livemode": True}),
        (f"{LATE}_succeeded", SESSION, {"data__object__payment_intent": "pi_other"}),
        ("refund.updated", REFUND, {"data__object__status": "failed"}),
        ("refund.updated", REFUND, {"data__object__payment_intent": "pi_other"}),
        ("refund.updated", REFUND, {"data__object__id": "re_other"}),
        ("refund.updated", REFUND | {"status": "as you like"}, {"data__object__status": "failed"}),
    ],
)
def test_what_the_fold_would_make_of_an_event_takes_a_second_person(
    kind: str, thing: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert draft(event(kind, thing), **changes).is_money


@pytest.mark.parametrize("changes", [{"api_version": "2026-10-28.endive"}, {"data__object__description": "Two books"}])
def test_what_the_fold_does_not_look_at_takes_none(changes: dict[str, Any]) -> None:
    assert not draft(event("refund.updated", REFUND), **changes).is_money


def test_an_event_that_stays_impossible_is_refused() -> None:
    with pytest.raises(Refused, match="come back at once"):
        draft(event("refund.updated", REFUND), data__object__status="as you like")


def test_the_page_that_a_token_leads_to_takes_a_second_person() -> None:
    row = letter(original(TOKEN), reason="rejected_by_database", group="status_processor")

    assert draft(row, hosted_page_url="https://elsewhere.example/c").is_money
    assert not draft(row, psp_request_id="req_1").is_money


@pytest.mark.parametrize(
    ("command", "changes", "is_money"),
    [
        (refund(amount=500), {"payment": "pi_other"}, True),
        (refund(amount=500), {"reason": "duplicate"}, False),
        (cancel_subscription(), {"subscription": "sub_other"}, True),
        (cancel_subscription(), {"at": "period_end"}, True),
        (cancel(), {"attempt": 2}, True),
        (refresh(), {"reason": "again"}, False),
        (COMMAND, {"terms__description": "Two books"}, False),
    ],
)
def test_what_a_command_asks_for_takes_a_second_person(
    command: Command, changes: dict[str, Any], is_money: bool
) -> None:
    assert draft(letter(original(command)), **changes).is_money is is_money


def test_whatever_is_made_of_what_nobody_could_read_takes_a_second_person() -> None:
    body = original(refresh()).value
    assert body is not None

    made = draft(letter(garbage(), reason="not_json"), body=body.decode(), kind="payonce.RefreshPayment.v1")

    assert made.is_money
