"""A dead letter's row: identity, repetition, whatever bytes it holds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from payonce.ports import Record
from payonce.ports.ops import Edit, Letter
from services.ops_console.letters import letter_of, merged, original_headers
from tests.fakes.dead_letters import letter_record, original
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

COMMAND = original(register())


def failed_again(record: Record, *, offset: int) -> Record:
    """The letter after one more replay: the reader saw our headers, and set it aside once more."""
    lineage = tuple(header for header in record.headers if header[0] in {"dlt-origin", "dlt-attempts"})
    back = replace(COMMAND, offset=99, headers=COMMAND.headers + lineage)
    return letter_record(back, offset=offset, at=START + offset)


def test_the_row_names_what_ops_search_for() -> None:
    row = letter_of(letter_record(COMMAND, offset=4))

    assert row.origin == "payments.commands/3/7"
    assert row.original_topic == "payments.commands"
    assert (row.group, row.reason, row.error, row.attempts) == ("psp_worker", "psp_refused", "because", 1)
    assert (row.dlt_topic, row.dlt_partition, row.dlt_offset) == ("payments.commands.dlt", 1, 4)
    assert row.order_id == register().order_id
    assert row.event_type == "payonce.RegisterPayment.v1"
    assert original_headers(row) == COMMAND.headers


def test_two_groups_that_fail_on_one_record_are_two_letters() -> None:
    worker = letter_of(letter_record(COMMAND, group="psp_worker"))
    fold = letter_of(letter_record(COMMAND, group="status_processor"))

    assert worker.letter_id != fold.letter_id
    assert worker.origin == fold.origin


def test_one_that_comes_back_is_the_same_row_opened_again_with_its_last_failure() -> None:
    first = letter_record(COMMAND, offset=0)
    row = replace(merged(None, letter_of(first)), state="replayed")

    row = merged(row, letter_of(failed_again(first, offset=5)))

    assert (row.letter_id, row.state, row.attempts, row.dlt_offset) == (letter_of(first).letter_id, "open", 2, 5)
    assert row.first_seen_at < row.last_seen_at


def test_a_consumer_that_begins_anew_repeats_letters_and_opens_nothing() -> None:
    """Offsets of psp_worker reset: every old letter is written once more, and what ops decided stays."""
    row = replace(letter_of(letter_record(COMMAND, offset=0)), state="discarded")

    repeated = merged(row, letter_of(letter_record(COMMAND, offset=8)))

    assert (repeated.state, repeated.attempts, repeated.dlt_offset) == ("discarded", 1, 8)


def test_a_pending_edit_outlives_a_repetition_but_not_other_bytes() -> None:
    row = letter_of(letter_record(COMMAND))
    edit = Edit(b"k", b"v", None, "olga", row.first_seen_at, "why", "h", False)
    edited = replace(row, edit=edit)

    same = merged(edited, replace(row, attempts=2))
    other = merged(edited, replace(row, attempts=2, value=b"{}"))

    assert (same.edit, other.edit) == (edit, None)


headers = st.lists(
    st.tuples(
        st.sampled_from(["dlt-origin", "dlt-group", "dlt-attempts", "dlt-error", "ce_type", "x\x00y"]), st.binary()
    ),
    max_size=6,
)


@given(
    st.none() | st.binary(max_size=300), st.none() | st.binary(max_size=50), headers, st.integers(-(2**63), 2**63 - 1)
)
def test_whatever_lies_in_a_dead_letter_topic_becomes_a_row_that_the_database_can_keep(
    key: bytes | None, value: bytes | None, found: list[tuple[str, bytes]], timestamp_ms: int
) -> None:
    row = letter_of(Record("payments.tokens.dlt", 0, 3, key, value, tuple(found), timestamp_ms))

    texts = (row.origin, row.group, row.order_id or "", row.event_type or "", row.reason, row.error)
    assert all("\x00" not in text for text in (*texts, *(name for name, _ in row.headers)))
    assert all(len(text) <= 200 for text in texts[:5])
    assert (row.key, row.value, 1 <= row.attempts + 1 < 2**31) == (key, value, True)


@given(st.permutations(range(6)))
def test_reading_the_same_letters_again_from_anywhere_gives_the_same_row(order: list[int]) -> None:
    """At-least-once reading from a position that a restored backup put back."""
    records = [letter_record(COMMAND, offset=0)]
    for offset in range(1, 6):
        records.append(failed_again(records[-1], offset=offset))
    rows = [letter_of(record) for record in records]
    once: Letter | None = None
    for row in rows:
        once = merged(once, row)

    again = once
    for number in sorted(order[:3]):
        again = merged(again, rows[number])

    assert again == once
