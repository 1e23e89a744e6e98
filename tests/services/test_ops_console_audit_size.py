"""No entry of the audit chain is larger than payments.ops takes, whatever a letter holds or an operator sends.

One that is would stand before all later ones for ever: nothing would be anchored, replayed or settled any more.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from payonce.audit import audit_record
from payonce.ports import Record
from payonce.ports.ops import Action
from payonce.record_size import fits
from services.ops_console.deeds import note
from services.ops_console.refusals import Refused
from tests.fakes.dead_letters import letter_record, original, webhook
from tests.fakes.ops_console import Console
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

NOW = datetime.fromtimestamp(START, UTC)
#: A PSP event with sixty fields below one very long name.
HOSTILE_EVENT: dict[str, Any] = {
    "object": "event",
    "id": "evt_1",
    "type": "payment_intent.succeeded",
    "created": int(START),
    "livemode": False,
    "api_version": None,
    "data": {"object": {"object": "payment_intent", "id": "pi_1", "metadata": {}}},
}


@pytest.fixture
def console() -> Console:
    return Console()


def entries(console: Console) -> list[bool]:
    return [fits(audit_record(entry)) for entry in console.store.tables.actions]


async def test_an_edit_of_a_letter_with_a_very_long_name_is_a_small_entry(console: Console) -> None:
    leaves = {str(number): number for number in range(60)}
    garbage = json.dumps({"k" * 30_000: leaves}).encode()
    kind = (("ce_type", b"payonce.RegisterPayment.v1"),)
    record = Record("payments.commands", 0, 1, b"ord_x", garbage, kind, timestamp_ms=int(START * 1000))
    [letter_id] = console.index(letter_record(record, reason="wrong_shape"))
    body = (original(register()).value or b"").decode()

    answer = await console.post(f"/v1/dead-letters/{letter_id}/edit", {"body": body, "why": "as it was meant"})

    assert answer.status_code == 200
    assert entries(console) == [True]
    assert await console.chores.run_once()
    assert [record.topic for record in console.log.published] == ["payments.ops"]


async def test_a_field_that_nobody_would_name_is_refused(console: Console) -> None:
    event = webhook(json.dumps(HOSTILE_EVENT).encode(), key="pi_1")
    [letter_id] = console.index(letter_record(event, reason="impossible_event", group="status_processor"))

    changes = {"data.object." + "z" * 1_100_000: 1}
    answer = await console.post(f"/v1/dead-letters/{letter_id}/edit", {"changes": changes, "why": "typo"})

    assert answer.status_code == 422
    assert len(answer.content) < 2_000
    assert console.store.tables.actions == []


async def test_what_an_entry_says_is_cut_to_what_a_person_reads(console: Console) -> None:
    detail = {"paths": ["x" * 300] * 60, "order": "y" * 300, "letters": 3}

    console.store.run_now(lambda tx: note(tx, Action(NOW, "olga", "edit", "dl_1", "typo", detail=detail)))

    [entry] = console.store.tables.actions
    assert entry.action.detail == {"paths": ["x" * 200] * 50, "order": "y" * 200, "letters": 3}


async def test_an_entry_that_no_topic_takes_is_refused_with_its_deed(console: Console) -> None:
    with pytest.raises(Refused, match="entry_too_large"):
        console.store.run_now(lambda tx: note(tx, Action(NOW, "olga", "edit", "dl_1", "w" * 1_100_000)))

    assert console.store.tables.actions == []
