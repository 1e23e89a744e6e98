"""A letter whose key names another order than its body: once an edit has set the key, the body's order decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.codec import decode
from payonce.domain.commands import Command, RegisterPayment
from payonce.ports.ops_reads import LedgerView, RefundView
from tests.fakes.dead_letters import as_read, letter_record, original
from tests.fakes.ops_console import Console, approve
from tests.fakes.orders import refund
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

REFUND = refund(amount=500)
ORDER = register(life_seconds=20 * 3600, issued_at=int(START))
ANOTHER = "ord_another"


async def mended(console: Console, message: Command) -> str:
    """Let the letter arrive under another order's key; set the key as docs/dead-letters.md says. Return its id."""
    record = replace(original(message), key=ANOTHER.encode())
    [letter_id] = console.index(letter_record(record, reason="key_mismatch"))
    asked = {"key": message.order_id, "why": "the key"}
    answer = await console.post(f"/v1/dead-letters/{letter_id}/edit", asked)
    assert (await approve(console, letter_id, answer.json()["edit_hash"])).status_code == 200
    return letter_id


async def replayed(console: Console, letter_id: str) -> Command:
    """Look at what a replay would do, let it, and return the command that it sent."""
    asked = {"ids": [letter_id], "why": "mended"}
    foreseen = await console.post("/v1/replays", {**asked, "dry_run": True})
    assert foreseen.json()["sending"] == 1, foreseen.json()
    assert (await console.post("/v1/replays", asked)).status_code < 300
    await console.finish_replays()
    [record] = console.log.published
    message = decode(as_read(record))
    assert isinstance(message, Command)
    return message


async def test_a_refund_goes_though_the_keys_order_has_used_its_reference() -> None:
    console = Console()
    console.store.tables.ledger[ANOTHER] = [RefundView(REFUND.refund_reference, "accepted", "cmd_another")]

    letter_id = await mended(console, REFUND)

    shown = (await console.get(f"/v1/dead-letters/{letter_id}")).json()
    assert shown["refunds"] == []
    assert shown["next_replay"].startswith("new_command")
    assert await replayed(console, letter_id) == REFUND


@pytest.mark.parametrize("of_the_key", ["used", "expired"])
async def test_an_order_is_registered_under_the_next_number_of_its_own(of_the_key: str) -> None:
    console = Console()
    console.store.tables.ledger[ANOTHER] = [LedgerView(number, of_the_key, "h") for number in (1, 2, 3)]
    console.store.tables.ledger[ORDER.order_id] = [LedgerView(1, "failed", ORDER.body_hash)]

    letter_id = await mended(console, ORDER)

    shown = (await console.get(f"/v1/dead-letters/{letter_id}")).json()
    assert shown["ledger"] == [{"attempt": 1, "state": "failed"}]
    sent = await replayed(console, letter_id)
    assert isinstance(sent, RegisterPayment)
    assert (sent.order_id, sent.attempt) == (ORDER.order_id, 2)


async def test_until_the_key_is_set_the_keys_order_is_shown() -> None:
    console = Console()
    console.store.tables.ledger[ANOTHER] = [LedgerView(1, "open", "h")]
    [letter_id] = console.index(letter_record(replace(original(ORDER), key=ANOTHER.encode()), reason="key_mismatch"))

    shown = (await console.get(f"/v1/dead-letters/{letter_id}")).json()

    assert shown["ledger"] == [{"attempt": 1, "state": "open"}]
