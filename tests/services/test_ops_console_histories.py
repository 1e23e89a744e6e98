"""A letter's whole life, whatever people do to it in whatever order: edits, replays, withdrawals, and a slow worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from payonce.codec import decode
from payonce.domain.commands import RefundPayment, RegisterPayment
from payonce.ports import OutgoingRecord
from payonce.ports.ops import Letter
from payonce.ports.ops_reads import LedgerView, RefundView
from services.ops_console.amending import Rules
from services.ops_console.letters import merged
from services.ops_console.planning import Send, plan, replayed
from services.ops_console.refusals import Refused
from tests.fakes.dead_letters import as_read, letter, original
from tests.fakes.letter_edits import draft, edited
from tests.fakes.orders import refund
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

ORDER = register(life_seconds=20 * 3600, issued_at=int(START))
REFUND = refund(amount=500)


@dataclass
class Life:
    """A letter, what was sent for it and is not read yet, and how much time has passed."""

    letter: Letter
    now: float = START + 60
    queue: list[OutgoingRecord] = field(default_factory=list)

    def replay(self, ledger: Sequence[LedgerView | RefundView]) -> OutgoingRecord | None:
        planned = plan(self.letter, ledger, Rules(self.now, 82_500, b"secret"))
        if not isinstance(planned, Send):
            return None
        self.letter = replace(replayed(self.letter, planned), state="replayed")
        self.queue.append(planned.record)
        return planned.record

    def edit(self, approved_by: str | None, **changes: Any) -> bool:
        try:
            made = draft(self.letter, **changes)
        except Refused:  # it changes nothing
            return False
        self.letter = edited(self.letter, made, approved_by=approved_by)
        return True

    def came_back(self, record: OutgoingRecord) -> None:
        self.letter = merged(self.letter, letter(as_read(record), offset=self.letter.dlt_offset + 1))


deeds_on_orders = st.lists(
    st.tuples(
        st.sampled_from(["amount", "words", "withdraw", "replay", "replay", "read", "fail", "later"]), st.integers(1, 4)
    ),
    max_size=14,
)


@given(deeds_on_orders)
@example([("amount", 1), ("replay", 1), ("amount", 2), ("replay", 1), ("fail", 1), ("replay", 1)])
def test_an_amount_changes_only_by_an_edit_that_was_approved(deeds: list[tuple[str, int]]) -> None:
    life, ledger, agreed = Life(letter(original(ORDER))), dict[int, LedgerView](), ORDER.terms.amount
    pending: int | None = None
    for deed, number in deeds:
        if deed == "amount" and life.edit("ada", terms__amount=number * 100):
            pending = number * 100
        elif deed == "words" and life.edit(None, terms__description=f"{number} books"):
            pending = None
        elif deed == "withdraw":
            life.letter, pending = replace(life.letter, edit=None), None
        elif deed == "replay" and (record := life.replay(list(ledger.values()))) is not None:
            agreed, pending = agreed if pending is None else pending, None
            assert registration(record).terms.amount == agreed
        elif deed in {"read", "fail"} and life.queue:
            record = life.queue.pop(0)
            command = registration(record)
            if command.attempt == max(ledger, default=0) + 1:
                state = "failed" if deed == "fail" else "open"
                ledger[command.attempt] = LedgerView(command.attempt, state, command.body_hash)
            if deed == "fail":
                life.came_back(record)
                pending = pending if life.letter.edit else None  # an edit does not outlive other bytes
        elif deed == "later":
            life.now += number * 6 * 3600
            ledger = {key: replace(row, state="expired") for key, row in ledger.items()}


def registration(record: OutgoingRecord) -> RegisterPayment:
    message = decode(as_read(record))
    assert isinstance(message, RegisterPayment)
    return message


deeds_on_refunds = st.lists(
    st.tuples(
        st.sampled_from(["rename", "amount", "withdraw", "replay", "replay", "accept", "reject", "unknown", "lost"]),
        st.integers(1, 3),
    ),
    max_size=14,
)


@given(deeds_on_refunds)
@example(
    [("replay", 1), ("replay", 1), ("lost", 1), ("rename", 2), ("replay", 1), ("accept", 1), ("accept", 1)],
)
def test_one_letter_pays_back_once(deeds: list[tuple[str, int]]) -> None:
    """`lost` is refused before the ledger knows it. What is unknown may have been paid back, so it counts."""
    life, ledger = Life(letter(original(REFUND))), dict[str, RefundView]()
    for deed, number in deeds:
        if deed == "rename":
            life.edit("ada", refund_reference=f"back-{number}")
        elif deed == "amount":
            life.edit("ada", amount=number * 100)
        elif deed == "withdraw":
            life.letter = replace(life.letter, edit=None)
        elif deed == "replay":
            life.replay(list(ledger.values()))
        elif life.queue:
            record = life.queue.pop(0)
            if deed == "lost":
                life.came_back(record)
                continue
            command = decode(as_read(record))
            assert isinstance(command, RefundPayment)
            state = {"accept": "accepted", "reject": "rejected"}.get(deed, "unknown")
            row = RefundView(command.refund_reference, state, command.command_id)
            ledger.setdefault(command.refund_reference, row)
            if deed == "reject" and "replay-for" not in dict(record.headers):
                life.came_back(record)
    assert sum(row.state != "rejected" for row in ledger.values()) <= 1, ledger
