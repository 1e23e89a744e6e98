"""A letter's whole life, whatever people do to it in whatever order: edits, replays, withdrawals, and a slow worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from payonce.codec import Undecodable, decode, encode_body
from payonce.dead_letters import is_replay_for_other
from payonce.domain.commands import RefundPayment, RegisterPayment
from payonce.ports import OutgoingRecord, Record
from payonce.ports.ops import Letter
from payonce.ports.ops_reads import LedgerView, RefundView
from services.ops_console.amending import Rules
from services.ops_console.letters import merged
from services.ops_console.planning import Send, plan, replayed
from services.ops_console.refusals import Refused
from services.ops_console.standing import order_of, with_type
from tests.fakes.dead_letters import as_read, letter, original
from tests.fakes.letter_edits import draft, edited
from tests.fakes.orders import refund
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

ORDER = register(life_seconds=20 * 3600, issued_at=int(START))
REFUND = refund(amount=500)


@dataclass
class Life:
    """A letter, the one of another group, what was sent and is not read yet, and how much time has passed."""

    letter: Letter
    other: Letter | None = None
    now: float = START + 60
    queue: list[OutgoingRecord] = field(default_factory=list)

    def turn(self) -> None:
        """Go on with the other group's letter."""
        if self.other is not None:
            self.letter, self.other = self.other, self.letter

    def replay(self, ledger: Sequence[LedgerView | RefundView]) -> OutgoingRecord | None:
        others = [] if self.other is None else [self.other]
        planned = plan(self.letter, ledger, Rules(self.now, 82_500, b"secret"), others)
        if not isinstance(planned, Send):
            return None
        self.letter = replace(replayed(self.letter, planned), state="replayed")
        self.queue.append(planned.record)
        return planned.record

    def edit(self, approved_by: str | None, **changes: Any) -> bool:
        try:
            made = draft(self.letter, **changes)
        except Refused:  # it changes nothing, or would come back
            return False
        self.letter = edited(self.letter, made, approved_by=approved_by)
        return True

    def came_back(self, record: OutgoingRecord, group: str = "psp_worker") -> None:
        if self.letter.group != group:
            self.turn()
        self.letter = merged(self.letter, letter(as_read(record), group=group, offset=self.letter.dlt_offset + 1))


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


faults: dict[str, Callable[[Record], Record]] = {
    "none": lambda record: record,
    "no type": lambda record: replace(record, headers=with_type(record.headers, None)),
    "another type": lambda record: replace(record, headers=with_type(record.headers, "payonce.RefreshPayment.v1")),
    "another key": lambda record: replace(record, key=b"ord_another"),
}
EDITS = ("mend", "mend", "rename", "anew", "amount", "order", "cancel")
OTHERS = ("withdraw", "turn", "replay", "replay", "replay", "accept", "accept", "reject", "unknown", "lost")
deeds_on_refunds = st.lists(st.tuples(st.sampled_from([*EDITS, *OTHERS]), st.integers(1, 3)), max_size=14)
#: What the ledger has of each order and refund reference.
Ledger = dict[tuple[str, str], RefundView]
ANOTHER_ORDER = register("A-2").order_id
MEND = {"kind": "payonce.RefundPayment.v1", "key": REFUND.order_id}

edits: dict[str, Callable[[int], dict[str, Any]]] = {
    "mend": lambda _: MEND,
    "rename": lambda number: {**MEND, "refund_reference": f"back-{number}"},
    "anew": lambda number: {**MEND, "body": encode_body(replace(REFUND, refund_reference=f"back-{number}")).decode()},
    "amount": lambda number: {"amount": number * 100},
    "order": lambda _: {**MEND, "key": ANOTHER_ORDER, "order_id": ANOTHER_ORDER},
    "cancel": lambda _: {"kind": "payonce.CancelPayment.v1", "key": REFUND.order_id, "attempt": 1},
}


@given(st.sampled_from(sorted(faults)), deeds_on_refunds)
@example(
    "none", [("replay", 1), ("replay", 1), ("lost", 1), ("rename", 2), ("replay", 1), ("accept", 1), ("accept", 1)]
)
@example("no type", [("mend", 1), ("replay", 1), ("accept", 1), ("rename", 2), ("replay", 1), ("accept", 1)])
@example("another key", [("mend", 1), ("replay", 1), ("accept", 1), ("rename", 2), ("replay", 1), ("accept", 1)])
@example(
    "none",
    [
        *[("replay", 1), ("reject", 1), ("rename", 2), ("replay", 1), ("accept", 1)],
        *[("turn", 1), ("rename", 3), ("replay", 1), ("accept", 1)],
    ],
)
@example("none", [("replay", 1), ("accept", 1), ("order", 1), ("replay", 1), ("accept", 1)])
@example(
    "no type",
    [
        *[("mend", 1), ("replay", 1), ("accept", 1), ("cancel", 1), ("replay", 1), ("accept", 1)],
        *[("anew", 2), ("replay", 1), ("accept", 1)],
    ],
)
def test_one_letter_pays_back_once(fault: str, deeds: list[tuple[str, int]]) -> None:
    """Whatever was wrong with it, and whichever group's letter of it is edited.

    `lost` is refused before the ledger knows it. What is unknown may have been paid back, so it counts.
    """
    record = faults[fault](original(REFUND))
    life, ledger = Life(letter(record), letter(record, group="status_processor", offset=1)), Ledger()
    for deed, number in deeds:
        if deed in edits:
            life.edit("ada", **edits[deed](number))
        elif deed == "turn":
            life.turn()
        elif deed == "withdraw":
            life.letter = replace(life.letter, edit=None)
        elif deed == "replay":
            life.replay([row for (order, _), row in ledger.items() if order == order_of(life.letter)])
        elif life.queue:
            worker_reads(life, ledger, deed)
    assert sum(row.state != "rejected" for row in ledger.values()) <= 1, ledger


def worker_reads(life: Life, ledger: Ledger, outcome: str) -> None:
    sent = life.queue.pop(0)
    record = as_read(sent)
    if is_replay_for_other(record, "psp_worker"):
        return
    try:
        command = decode(record)
    except Undecodable:
        outcome = "lost"
    else:
        if isinstance(command, RefundPayment) and outcome != "lost":
            state = {"accept": "accepted", "reject": "rejected"}.get(outcome, "unknown")
            row = RefundView(command.refund_reference, state, command.command_id)
            ledger.setdefault((command.order_id, command.refund_reference), row)
    if outcome == "lost" or (outcome == "reject" and "replay-for" not in dict(record.headers)):
        life.came_back(sent)
