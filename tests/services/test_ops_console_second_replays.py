"""A letter that was sent edited, replayed or edited once more: what its edit has replaced never comes back."""

from __future__ import annotations

import json
from dataclasses import replace

from payonce.ports.ops import Letter
from payonce.ports.ops_reads import LedgerView
from services.ops_console.amending import Rules
from services.ops_console.letters import merged
from services.ops_console.planning import plan, replayed
from tests.fakes.dead_letters import as_read, letter, original, webhook
from tests.fakes.letter_edits import command, draft, edited, sent, stays
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

COMMAND = register(life_seconds=20 * 3600, issued_at=int(START))
LETTER = letter(original(COMMAND))
FAILED = LedgerView(1, "failed", COMMAND.body_hash)
NOW = Rules(START + 60, 82_500, b"secret")
LATER = Rules(START + 30 * 3600, 82_500, b"secret")


def cheaper() -> tuple[Letter, LedgerView]:
    """A refused order of 1999 that was sent again for 199, as two people wanted; and its second attempt, expired."""
    row = edited(LETTER, draft(LETTER, terms__amount=199))
    sending = sent(plan(row, [FAILED], NOW))
    assert (command(sending).attempt, command(sending).terms.amount) == (2, 199)
    return replayed(row, sending), LedgerView(2, "expired", command(sending).body_hash)


def test_edited_terms_stand_when_their_attempt_has_expired_unpaid() -> None:
    row, second = cheaper()

    again = command(sent(plan(row, [FAILED, second], LATER)))

    assert (again.attempt, again.terms.amount) == (3, 199)


def test_edited_terms_stand_when_the_edit_is_withdrawn_after_it_was_sent() -> None:
    row, second = cheaper()

    again = command(sent(plan(replace(row, edit=None), [FAILED, second], LATER)))

    assert (again.attempt, again.terms.amount) == (3, 199)


def test_edited_terms_stand_in_the_first_life_of_the_order_too() -> None:
    row, second = cheaper()

    assert command(sent(plan(row, [FAILED, replace(second, state="failed")], NOW))).terms.amount == 199
    assert "may still be paid" in stays(plan(row, [FAILED, replace(second, state="open")], NOW))


def test_a_second_replay_of_an_edit_sends_the_same_attempt_until_the_ledger_knows_it() -> None:
    row, _ = cheaper()

    again = sent(plan(row, [FAILED], replace(NOW, now=NOW.now + 3_600)))

    assert row.amendment is not None
    assert again.record.value == row.amendment.value


def test_the_next_edit_begins_from_what_was_sent() -> None:
    row, second = cheaper()

    made = draft(row, terms__description="Two books")
    again = command(sent(plan(edited(row, made, approved_by=None), [FAILED, second], LATER)))

    assert [each.path for each in made.differences] == ["terms.description"]
    assert not made.is_money
    assert (again.terms.amount, again.terms.description) == (199, "Two books")


def test_going_back_to_the_first_terms_takes_a_second_person() -> None:
    row, _ = cheaper()
    assert LETTER.value is not None

    made = draft(row, body=LETTER.value.decode())

    assert made.is_money
    assert "approval" in stays(plan(edited(row, made, approved_by=None), [FAILED], NOW))


def test_what_came_back_stands_for_a_letter_whose_row_has_forgotten_what_was_sent() -> None:
    """The database was restored from a backup of before the second edit."""
    forgetful, second = cheaper()
    row = edited(forgetful, draft(forgetful, terms__amount=299))
    sending = sent(plan(row, [FAILED, second], LATER))
    came_back = letter(as_read(sending.record), offset=5)

    restored = merged(forgetful, came_back)

    third = LedgerView(3, "failed", command(sending).body_hash)
    assert command(sent(plan(restored, [FAILED, second, third], LATER))).terms.amount == 299


def test_an_edited_webhook_is_sent_edited_every_time() -> None:
    event = {"id": "evt_1", "type": "charge.updated", "created": 1, "livemode": False, "object": "event"}
    body = json.dumps({**event, "data": {"object": {"id": "ch_1", "object": "charge", "amount": 5}}}).encode()
    first = letter(webhook(body), reason="impossible_event", group="status_processor")
    row = edited(first, draft(first, data__object__amount=7))
    sending = sent(plan(row, (), NOW))

    again = replayed(row, sending)

    assert sent(plan(again, (), LATER)).record == sending.record
    assert "withdrawn" in stays(plan(replace(again, edit=None), (), LATER))
    assert sent(plan(merged(again, letter(as_read(sending.record), offset=8, group="status_processor")), (), NOW))
