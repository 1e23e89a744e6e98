"""Replays of refunds: a reference stands for one refund for ever, and no edit pays back twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payonce.ports.ops import Letter
from payonce.ports.ops_reads import RefundView
from services.ops_console.amending import Rules
from services.ops_console.planning import plan, replayed
from tests.fakes.dead_letters import letter, letter_record, original
from tests.fakes.letter_edits import draft, edited, refund_in, sent, stays
from tests.fakes.ops_console import Console, kind
from tests.fakes.ops_console import edit as asked_edit
from tests.fakes.orders import refund
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

REFUND = refund(amount=500)
LETTER = letter(original(REFUND))
NOW = Rules(START + 60, 82_500, b"secret")


def in_ledger(state: str, reference: str = "back-1", command_id: str = REFUND.command_id) -> RefundView:
    return RefundView(reference, state, command_id)


def renamed(of: Letter = LETTER, reference: str = "back-2", **changes: Any) -> Letter:
    return edited(of, draft(of, refund_reference=reference, **changes))


@pytest.mark.parametrize("ledger", [(), [in_ledger("calling")], [in_ledger("unknown")], [in_ledger("accepted")]])
def test_a_refund_that_is_not_rejected_is_left_to_the_ledger(ledger: Any) -> None:
    assert sent(plan(LETTER, ledger, NOW)).how == "as_is"


def test_a_rejected_refund_stays_and_the_preview_says_what_to_do() -> None:
    """The ledger would only repeat the rejection: nothing would be paid back."""
    assert "refund_reference" in stays(plan(LETTER, [in_ledger("rejected")], NOW))


def test_the_fold_may_read_a_rejected_refund() -> None:
    row = letter(original(REFUND), reason="rejected_by_database", group="status_processor")

    assert sent(plan(row, [in_ledger("rejected")], NOW)).how == "as_is"


@pytest.mark.parametrize("state", ["rejected", "accepted", "unknown"])
def test_an_edit_that_keeps_a_reference_the_ledger_holds_stays(state: str) -> None:
    row = edited(LETTER, draft(LETTER, amount=400))

    assert "refund_reference" in stays(plan(row, [in_ledger(state)], NOW))


def test_an_edit_may_keep_a_reference_that_the_ledger_never_saw() -> None:
    assert refund_in(sent(plan(edited(LETTER, draft(LETTER, amount=400)), (), NOW))).amount == 400


def test_a_rejected_refund_is_made_under_another_reference() -> None:
    sending = sent(plan(renamed(amount=400), [in_ledger("rejected")], NOW))

    assert sending.how == "new_command"
    assert refund_in(sending) == replace(REFUND, refund_reference="back-2", amount=400)


@pytest.mark.parametrize("state", ["calling", "unknown", "accepted"])
def test_no_other_refund_while_the_first_one_may_have_been_paid_back(state: str) -> None:
    assert "may have moved" in stays(plan(renamed(), [in_ledger(state)], NOW))


def test_no_other_refund_while_the_ledger_does_not_know_the_first_one() -> None:
    """A replay of it may wait in the worker, or its offset be reset: under one reference it is paid back once."""
    assert "keep it" in stays(plan(renamed(), (), NOW))


def test_an_edited_refund_that_is_replayed_again_is_the_same_refund() -> None:
    ledger = [in_ledger("rejected")]
    row = renamed()
    sending = sent(plan(row, ledger, NOW))
    row = replayed(row, sending)
    ledger.append(in_ledger("accepted", "back-2", refund_in(sending).command_id))

    assert sent(plan(row, ledger[:1], NOW)).record == sent(plan(row, ledger, NOW)).record == sending.record
    assert "withdrawn" in stays(plan(replace(row, edit=None), ledger, NOW))
    assert "may have moved" in stays(plan(renamed(row, "back-3"), ledger, NOW))


def test_a_third_refund_waits_until_the_ledger_knows_the_second() -> None:
    ledger = [in_ledger("rejected")]
    row = replayed(renamed(), sent(plan(renamed(), ledger, NOW)))

    assert "keep it" in stays(plan(renamed(row, "back-3"), ledger, NOW))


@pytest.mark.parametrize("state", ["accepted", "rejected"])
def test_a_refund_is_never_edited_into_another_orders_or_into_anything_else(state: str) -> None:
    """What it has asked for would be forgotten, and a later edit could ask for it once more."""
    another = register("A-2").order_id

    elsewhere = edited(LETTER, draft(LETTER, order_id=another))
    cancelling = edited(LETTER, draft(LETTER, kind="payonce.CancelPayment.v1", attempt=1))

    assert "another order" in stays(plan(elsewhere, (), NOW))
    assert "forgotten" in stays(plan(cancelling, [in_ledger(state)], NOW))


async def test_an_edit_that_can_never_be_carried_out_is_refused_when_it_is_made() -> None:
    console = Console()
    [letter_id] = console.index(letter_record(original(REFUND)))
    console.store.tables.ledger[REFUND.order_id] = [in_ledger("rejected")]

    kept = await asked_edit(console, letter_id, amount=400)
    cancelling = {"type": "payonce.CancelPayment.v1", "changes": {"attempt": 1}, "why": "enough"}
    nothing = await console.post(f"/v1/dead-letters/{letter_id}/edit", cancelling)
    other = await asked_edit(console, letter_id, amount=400, refund_reference="back-2")

    assert (kept.status_code, kind(kept), kept.json()["errors"][0]["field"]) == (
        422,
        "refund_stays",
        "refund_reference",
    )
    assert (kind(nothing), nothing.json()["errors"][0]["field"]) == ("refund_stays", "type")
    assert other.json()["needs_approval"] is True
    assert [entry.action.after_hash for entry in console.store.tables.actions] == [other.json()["edit_hash"]]
