"""How a dead letter goes back: as it was, edited, as a new attempt, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from payonce.codec import decode
from payonce.domain.commands import RefundPayment
from payonce.domain.events import TokenIssued
from payonce.domain.link_tokens import link_token
from payonce.domain.terms import body_hash_of
from payonce.ports.ops_reads import LedgerView
from services.ops_console.amending import Rules
from services.ops_console.planning import Send, Skip, plan, replayed
from services.ops_console.refusals import Refused
from tests.fakes.dead_letters import as_read, garbage, letter, original, webhook
from tests.fakes.letter_edits import command, draft, edited, sent
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

COMMAND = register(life_seconds=20 * 3600, issued_at=int(START))
LETTER = letter(original(COMMAND))
NOW = Rules(START + 60, 82_500, b"secret")
LATER = Rules(START + 30 * 3600, 82_500, b"secret")


def headers(sending: Send) -> dict[str, bytes]:
    return dict(sending.record.headers)


def test_an_unchanged_command_in_time_goes_back_to_the_group_that_failed_byte_for_byte() -> None:
    sending = sent(plan(LETTER, (), NOW))

    assert sending.how == "as_is"
    record = sending.record
    assert (record.topic, record.key, record.value) == ("payments.commands", LETTER.key, LETTER.value)
    assert headers(sending)["replay-for"] == b"psp_worker"
    assert headers(sending)["dlt-origin"] == b"payments.commands/3/7"
    assert headers(sending)["ce_time"] == dict(original(COMMAND).headers)["ce_time"]


def test_a_replay_that_fails_again_is_the_same_letter() -> None:
    back = letter(as_read(sent(plan(LETTER, (), NOW)).record, offset=400))

    assert (back.letter_id, back.attempts) == (LETTER.letter_id, 2)


def test_a_command_that_is_too_late_becomes_a_new_attempt_for_everyone() -> None:
    sending = sent(plan(LETTER, [LedgerView(1, "failed", COMMAND.body_hash)], LATER))

    new = command(sending)
    assert sending.how == "new_attempt"
    assert sending.is_for_everyone
    assert (new.attempt, new.amends, new.terms) == (2, COMMAND.command_id, COMMAND.terms)
    assert new.issued_at == int(LATER.now)
    assert 0 < new.expires_at - new.issued_at < 23 * 3600
    assert new.body_hash == COMMAND.body_hash
    assert new.command_id != COMMAND.command_id


def test_a_new_attempt_is_signed_with_todays_secret() -> None:
    """The letter may be older than the secret: a link of a dropped one leads a customer who has paid to a 404."""
    new = command(sent(plan(LETTER, [LedgerView(1, "failed", COMMAND.body_hash)], LATER)))

    assert f"t={link_token(b'secret', new.order_id, new.body_hash)}" in new.success_url
    assert new.cancel_url.endswith("&via=cancel")


def test_a_new_attempt_that_is_sent_again_is_signed_anew() -> None:
    ledger = [LedgerView(1, "failed", COMMAND.body_hash)]
    row = replayed(LETTER, sent(plan(LETTER, ledger, LATER)))

    new = command(sent(plan(row, ledger, replace(LATER, link_secret=b"new-secret"))))

    assert f"t={link_token(b'new-secret', new.order_id, new.body_hash)}" in new.success_url


def test_without_the_link_secret_unchanged_terms_keep_their_links() -> None:
    ledger = [LedgerView(1, "failed", COMMAND.body_hash)]

    assert command(sent(plan(LETTER, ledger, replace(LATER, link_secret=None)))).success_url == COMMAND.success_url


def test_a_refused_command_in_time_is_a_new_attempt_at_once() -> None:
    """The ledger would only repeat the refusal: nothing would be registered, and the letter would look answered."""
    new = command(sent(plan(LETTER, [LedgerView(1, "failed", COMMAND.body_hash)], NOW)))

    assert (new.attempt, new.terms, new.amends) == (2, COMMAND.terms, COMMAND.command_id)


@pytest.mark.parametrize("state", ["failed", "expired", "open"])
def test_what_the_fold_could_not_take_goes_back_to_the_fold_alone(state: str) -> None:
    """The worker has done its part: nobody may be asked to pay because of what another group could not read."""
    row = letter(original(COMMAND), reason="rejected_by_database", group="status_processor")

    sending = sent(plan(row, [LedgerView(1, state, COMMAND.body_hash)], LATER))

    assert (sending.how, headers(sending)["replay-for"]) == ("as_is", b"status_processor")


def test_a_command_that_the_ledger_never_saw_is_amended_under_its_own_number() -> None:
    """The worker accepts the highest attempt it knows + 1, and nothing else."""
    assert command(sent(plan(LETTER, (), LATER))).attempt == 1


@pytest.mark.parametrize("state", ["calling", "open", "unknown", "used"])
def test_no_new_attempt_while_an_earlier_one_may_be_paid(state: str) -> None:
    other = LedgerView(2, state, "v1:other")

    assert isinstance(plan(LETTER, [LedgerView(1, "failed", "x"), other], LATER), Skip)


def test_a_late_command_whose_own_row_is_open_is_left_to_the_ledger() -> None:
    sending = sent(plan(LETTER, [LedgerView(1, "open", COMMAND.body_hash)], LATER))

    assert sending.how == "as_is"


def test_replaying_twice_sends_the_same_amendment() -> None:
    ledger = [LedgerView(1, "failed", COMMAND.body_hash)]
    first = sent(plan(LETTER, ledger, LATER))
    row = replayed(LETTER, first)

    second = sent(plan(row, ledger, replace(LATER, now=LATER.now + 3_600)))

    assert command(second) == command(first)


def test_an_amendment_that_failed_too_is_followed_by_the_next_attempt() -> None:
    row = replayed(LETTER, sent(plan(LETTER, [LedgerView(1, "failed", "x")], LATER)))

    again = sent(plan(row, [LedgerView(1, "failed", "x"), LedgerView(2, "failed", "y")], LATER))

    assert command(again).attempt == 3


def test_edited_terms_are_a_new_attempt_with_a_new_hash_and_links_signed_for_it() -> None:
    row = edited(LETTER, draft(LETTER, terms__amount=2_500))

    new = command(sent(plan(row, [LedgerView(1, "failed", COMMAND.body_hash)], NOW)))

    assert (new.attempt, new.terms.amount) == (2, 2_500)
    assert new.body_hash == body_hash_of(new.terms) != COMMAND.body_hash
    assert f"t={link_token(b'secret', new.order_id, new.body_hash)}" in new.success_url
    assert new.cancel_url.endswith("&via=cancel")


def test_without_the_link_secret_edited_terms_stay() -> None:
    row = edited(LETTER, draft(LETTER, terms__description="x"))

    assert isinstance(plan(row, (), replace(NOW, link_secret=None)), Skip)


def test_money_waits_for_the_second_person() -> None:
    made = draft(LETTER, terms__currency="usd")

    assert made.is_money
    assert isinstance(plan(edited(LETTER, made, approved_by=None), (), NOW), Skip)
    assert isinstance(plan(edited(LETTER, made), (), NOW), Send)


def test_words_need_no_second_person() -> None:
    assert not draft(LETTER, terms__description="Two books").is_money


def test_an_edit_of_what_could_not_be_read_counts_as_money_if_it_carries_any() -> None:
    body = original(COMMAND).value
    assert body is not None

    made = draft(letter(garbage(), reason="not_json"), body=body.decode())

    assert made.is_money
    assert made.key == COMMAND.order_id.encode()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"terms__amount": "a lot"}, "wrong_shape"),
        ({"terms__reference": "another"}, "another_order"),
        ({"attempt": 0}, "wrong_shape"),
        ({"nowhere__amount": 1}, "no_such_field"),
        ({"attempt": 1}, "nothing_changed"),
    ],
)
def test_an_edit_that_would_come_back_is_refused(change: dict[str, Any], kind: str) -> None:
    compact = replace(LETTER, value=json.dumps(json.loads(LETTER.value or b""), separators=(",", ":")).encode())

    with pytest.raises(Refused) as refused:
        draft(compact, **change)
    assert refused.value.kind == kind


def test_an_edited_webhook_keeps_its_identity_and_key() -> None:
    event = {"id": "evt_1", "type": "charge.updated", "created": 1, "livemode": False, "object": "event"}
    body = json.dumps({**event, "data": {"object": {"id": "ch_1", "object": "charge", "amount": 5}}}).encode()
    row = letter(webhook(body), reason="impossible_event", group="status_processor")

    sending = sent(plan(edited(row, draft(row, data__object__amount=7)), (), NOW))

    assert sending.how == "edited"
    assert (sending.record.key, headers(sending)["ce_id"]) == (b"pi_1", b"evt_1")
    assert headers(sending)["replay-for"] == b"status_processor"
    assert json.loads(sending.record.value or b"")["data"]["object"]["amount"] == 7
    assert sending.awaits == ("evt_1",)


def test_a_token_goes_back_to_the_fold() -> None:
    token = TokenIssued(
        COMMAND.order_id,
        COMMAND.command_id,
        1,
        COMMAND.body_hash,
        "stripe",
        "cs_test_1",
        "https://x.example/c",
        None,
        1,
        None,
    )
    row = letter(original(token), reason="rejected_by_database", group="status_processor")

    sending = sent(plan(row, (), NOW))

    assert (sending.record.topic, sending.awaits) == ("payments.tokens", (token.event_id,))


def test_an_edited_refund_is_a_new_command_that_awaits_its_outcome() -> None:
    refund = RefundPayment(COMMAND.order_id, "R-1", None, 100, None, int(START), "2026-10-28.endive")
    row = letter(original(refund))

    sending = sent(plan(edited(row, draft(row, amount=90)), (), NOW))

    assert (sending.how, sending.is_for_everyone) == ("new_command", True)
    assert decode(as_read(sending.record)) == replace(refund, amount=90)
    assert len(sending.awaits) > 1


def test_what_nobody_can_read_goes_back_as_it_is_with_a_warning() -> None:
    sending = sent(plan(letter(garbage(), reason="not_json"), (), NOW))

    assert (sending.how, sending.record.value) == ("as_is", b"\x00no json")
    assert sending.note is not None


def test_a_discarded_letter_stays() -> None:
    assert isinstance(plan(replace(LETTER, state="discarded"), (), NOW), Skip)


def test_a_record_that_a_replay_would_make_too_large_stays() -> None:
    """It would be refused by the broker for ever, and hold up every replay behind it."""
    assert isinstance(plan(letter(garbage(value=b"x" * 1_048_000)), (), NOW), Skip)


def test_a_record_of_no_topic_of_ours_stays() -> None:
    assert isinstance(plan(replace(LETTER, original_topic="elsewhere"), (), NOW), Skip)
