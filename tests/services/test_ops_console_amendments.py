"""What was sent in a letter's place counts with its key and type, as they were written down, not as an edit says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payonce.codec import decode, decode_body
from payonce.domain.commands import CancelPayment, RegisterPayment
from payonce.domain.events import RegistrationFailed
from payonce.ports.ops import Content, Letter
from payonce.ports.ops_reads import LedgerView, RefundView
from services.ops_console.amending import Rules
from services.ops_console.planning import Send, plan, replayed
from services.ops_console.refusals import Refused
from services.ops_console.standing import is_replaced, order_of, standing, with_type
from tests.fakes.dead_letters import as_read, letter, original, webhook
from tests.fakes.letter_edits import command, draft, edited, sent, stays
from tests.fakes.orders import refund
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

EXAMPLES = Path(__file__).resolve().parents[2] / "schemas" / "examples"
NOW = Rules(START + 60, 82_500, b"secret")
REFUND = refund(amount=500)
REFUND_TYPE = "payonce.RefundPayment.v1"
ORDER = register(life_seconds=20 * 3600, issued_at=int(START))
FAILED = [LedgerView(1, "failed", ORDER.body_hash)]
NO_TYPE = letter(replace(original(REFUND), headers=with_type(original(REFUND).headers, None)), reason="missing_type")
WRONG_KEY = letter(replace(original(REFUND), key=b"ord_another"), reason="key_mismatch")


def went(row: Letter, *ledger: LedgerView | RefundView) -> Letter:
    """Return the letter after a replay of it."""
    return replace(replayed(row, sent(plan(row, ledger, NOW))), state="replayed")


@pytest.mark.parametrize(
    ("row", "mended"),
    [(NO_TYPE, {"kind": REFUND_TYPE}), (WRONG_KEY, {"key": REFUND.order_id})],
    ids=["its type", "its key"],
)
def test_an_edit_of_the_type_or_the_key_alone_was_sent_like_any_other(row: Letter, mended: dict[str, Any]) -> None:
    row = went(edited(row, draft(row, **mended)))
    paid_back = RefundView(REFUND.refund_reference, "accepted", REFUND.command_id)

    assert is_replaced(row)
    assert standing(row) == Content(REFUND.order_id.encode(), row.value, REFUND_TYPE)
    assert "withdrawn" in stays(plan(replace(row, edit=None), [paid_back], NOW))
    again = edited(row, draft(row, refund_reference="back-2"))
    assert "may have moved" in stays(plan(again, [paid_back], NOW))


def test_what_comes_back_as_it_was_sent_is_the_letters_own() -> None:
    row = went(edited(NO_TYPE, draft(NO_TYPE, kind=REFUND_TYPE)))
    sending = sent(plan(row, [], NOW))

    back = replace(letter(as_read(sending.record)), amendment=row.amendment)

    assert not is_replaced(back)
    assert sent(plan(back, [], NOW)).how == "as_is"


def test_a_type_that_waits_for_approval_is_no_beginning_for_the_next_edit() -> None:
    """One operator alone made a registration the cancellation of its order."""
    row = letter(original(ORDER))
    row = went(edited(row, draft(row, terms__description="two books"), approved_by=None), *FAILED)
    row = edited(row, draft(row, kind="payonce.CancelPayment.v1"), approved_by=None)
    assert "approval" in stays(plan(row, FAILED, NOW))

    made = draft(row, issued_at=int(START) + 1)

    assert isinstance(made.message, RegisterPayment)
    assert command(sent(plan(edited(row, made, approved_by=None), FAILED, NOW))).terms.description == "two books"


def test_an_edit_back_to_a_registration_after_another_command_was_sent_is_a_new_attempt() -> None:
    row = letter(original(ORDER))
    row = went(edited(row, draft(row, kind="payonce.CancelPayment.v1")))
    body = (row.value or b"").decode()

    made = draft(row, body=body, kind="payonce.RegisterPayment.v1")

    assert made.is_money
    assert isinstance(decode(as_read(sent(plan(row, (), NOW)).record)), CancelPayment)
    assert command(sent(plan(edited(row, made), FAILED, NOW))).attempt == 2


KINDS = ("payonce.RegistrationFailed.v1", "payonce.AttemptCancelled.v1")
TOKEN = decode_body("RegistrationFailed", (EXAMPLES / "RegistrationFailed.v1" / "not_found.json").read_bytes())
deeds = st.lists(
    st.tuples(st.sampled_from(["words", "type", "type", "approve", "withdraw", "replay", "replay"]), st.integers(0, 1)),
    max_size=12,
)


@given(deeds)
@example([("type", 1), ("approve", 0), ("replay", 0), ("type", 0), ("words", 1), ("replay", 0)])
@example([("words", 0), ("approve", 0), ("replay", 0), ("type", 1), ("words", 1), ("replay", 0)])
def test_a_message_becomes_another_only_by_an_edit_that_was_approved(done: list[tuple[str, int]]) -> None:
    assert isinstance(TOKEN, RegistrationFailed)
    row = letter(original(TOKEN), reason="rejected_by_database", group="status_processor")
    agreed, approved = KINDS[0], False
    for deed, number in done:
        if deed in {"words", "type"}:
            try:
                made = draft(row, detail=f"text {number}") if deed == "words" else draft(row, kind=KINDS[number])
            except Refused:  # it changes nothing
                continue
            row, approved = edited(row, made, approved_by=None), False
        elif deed == "approve" and row.edit is not None:
            row, approved = replace(row, edit=replace(row.edit, approved_by="ada")), True
        elif deed == "withdraw":
            row, approved = replace(row, edit=None), False
        elif deed == "replay" and isinstance(sending := plan(row, (), NOW), Send):
            kind = dict(sending.record.headers)["ce_type"].decode()
            agreed = kind if approved else agreed
            assert kind == agreed
            row = replayed(row, sending)


def half_known(row: Letter, value: bytes | None) -> Letter:
    """Return the letter as it was sent before key and type were written down (migration 0010)."""
    return replace(row, amendment=Content(None, value, None))


@pytest.mark.parametrize("row", [NO_TYPE, WRONG_KEY], ids=["its type", "its key"])
def test_what_may_have_been_a_refund_counts_when_nobody_wrote_down_what_was_sent(row: Letter) -> None:
    row = half_known(row, original(REFUND).value)
    paid_back = RefundView(REFUND.refund_reference, "accepted", REFUND.command_id)

    again = edited(row, draft(row, kind=REFUND_TYPE, key=REFUND.order_id, refund_reference="back-2"))

    assert "may have moved" in stays(plan(again, [paid_back], NOW))


def test_every_edit_of_what_was_sent_half_known_is_looked_at_by_a_second_person() -> None:
    row = letter(original(ORDER))
    row = half_known(row, went(row_of_new_terms(), *FAILED).amendment.value)  # type: ignore[union-attr]  # it was sent

    made = draft(row, terms__description="three books")

    assert made.is_money
    assert command(sent(plan(edited(row, made), FAILED, NOW))).terms.amount == 199


def test_a_new_attempt_that_was_sent_half_known_is_sent_again_and_known_from_then_on() -> None:
    before = went(row_of_new_terms(), *FAILED)
    assert before.amendment is not None
    row = replace(half_known(before, before.amendment.value), edit=None)

    sending = sent(plan(row, FAILED, NOW))

    assert (sending.how, sending.record.value) == ("new_attempt", before.amendment.value)
    assert replayed(row, sending).amendment == before.amendment


def row_of_new_terms() -> Letter:
    row = letter(original(ORDER))
    return edited(row, draft(row, terms__amount=199))


def test_a_letter_is_about_the_order_in_what_is_sent_next_and_else_about_its_keys() -> None:
    event = {"id": "evt_1", "type": "charge.updated", "created": 1, "livemode": False, "object": "event"}
    body = json.dumps({**event, "data": {"object": {"id": "ch_1", "object": "charge", "amount": 5}}}).encode()
    mended = edited(WRONG_KEY, draft(WRONG_KEY, key=REFUND.order_id))

    assert order_of(letter(original(REFUND))) == REFUND.order_id
    assert order_of(WRONG_KEY) == "ord_another"
    assert order_of(mended) == REFUND.order_id
    assert order_of(replace(went(mended), edit=None)) == REFUND.order_id
    assert order_of(letter(webhook(body))) == "pi_1"
