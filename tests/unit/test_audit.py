"""The audit chain shows every change, gap and end cut off."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payonce.audit import (
    BrokenChain,
    audit_record,
    chained,
    check,
    check_against_topic,
    entry_of,
    hash_of,
    sha256,
)
from payonce.ports.ops import Action, ChainedAction

AT = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)


def chain(length: int) -> list[ChainedAction]:
    entries: list[ChainedAction] = []
    for number in range(length):
        action = Action(AT, "olga", "discard", f"dl_{number}", "spam", detail={"order": None, "n": number})
        entries.append(chained(action, entries[-1] if entries else None))
    return entries


def rehashed(entry: ChainedAction) -> ChainedAction:
    return replace(entry, hash=hash_of(entry))


def test_a_chain_as_it_was_written_holds() -> None:
    entries = chain(5)

    assert check(entries) == entries[-1]
    assert check([]) is None


@given(st.integers(0, 6), st.sampled_from(["actor", "action", "subject", "why", "before_hash", "after_hash"]))
def test_a_change_anywhere_is_found_where_it_is(number: int, name: str) -> None:
    entries = chain(7)
    changes: dict[str, Any] = {name: "forged"}
    entries[number] = replace(entries[number], action=replace(entries[number].action, **changes))

    with pytest.raises(BrokenChain) as broken:
        check(entries)
    assert broken.value.sequence == number + 1


@given(st.integers(0, 5))
def test_a_change_with_a_new_hash_breaks_the_next_entry(number: int) -> None:
    entries = chain(7)
    entries[number] = rehashed(replace(entries[number], action=replace(entries[number].action, why="forged")))

    with pytest.raises(BrokenChain) as broken:
        check(entries)
    assert broken.value.sequence == number + 2


@given(st.integers(0, 5))
def test_an_entry_taken_out_is_missed(number: int) -> None:
    entries = chain(7)
    del entries[number]

    with pytest.raises(BrokenChain) as broken:
        check(entries)
    assert broken.value.sequence == number + 1


def test_a_chain_rewritten_from_an_entry_on_contradicts_the_topic() -> None:
    """Whoever can write to the table can recompute every hash; the topic still tells the truth."""
    truth, forged = chain(6), chain(3)
    for number in range(3, 6):
        action = replace(truth[number].action, actor="somebody else")
        forged.append(chained(action, forged[-1]))
    check(forged)

    with pytest.raises(BrokenChain) as broken:
        check_against_topic(forged, truth, published_up_to=6)
    assert broken.value.sequence == 4


def test_the_newest_entries_cut_off_are_missed_because_the_topic_has_them() -> None:
    with pytest.raises(BrokenChain) as broken:
        check_against_topic(chain(3), chain(5), published_up_to=3)
    assert broken.value.sequence == 4


def test_what_was_published_must_be_on_the_topic_and_what_was_not_may_be_missing() -> None:
    entries = chain(5)

    assert check_against_topic(entries, entries[:4], published_up_to=4) == (5, 4)
    with pytest.raises(BrokenChain) as broken:
        check_against_topic(entries, entries[:3], published_up_to=4)
    assert broken.value.sequence == 4


def test_entries_that_a_crash_published_twice_are_no_break() -> None:
    entries = chain(4)
    repeated = [*entries[:3], entries[1], entries[2], entries[3], entries[0]]

    assert check_against_topic(entries, repeated, published_up_to=4) == (4, 4)


def test_a_repetition_that_differs_is_a_break() -> None:
    entries = chain(3)
    forged = rehashed(replace(entries[1], action=replace(entries[1].action, why="forged")))

    with pytest.raises(BrokenChain):
        check_against_topic(entries, [*entries, forged], published_up_to=3)


def test_an_entry_comes_back_from_its_record_as_it_was() -> None:
    entry = chain(2)[1]

    record = audit_record(entry)

    assert (record.topic, record.key) == ("payments.ops", b"olga")
    assert entry_of(record.value or b"") == entry
    assert hash_of(entry_of(record.value or b"")) == entry.hash


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 0},
        {"sequence": 2**63},
        {"sequence": "1"},
        {"detail": []},
        {"actor": None},
        {"before_hash": 5},
        {"sequence": True},
        {"why": "a\x00b"},
        {"detail": {"a\x00b": 1}},
        {"detail": {"paths": [{"deep": "a\x00b"}]}},
        {"detail": {"fraction": 1e25}},
        {"subject": "dl_" * 1_000},
        {"at": "yesterday"},
        {"at": "2026-01-02T03:04:05"},
        {"at": "0001-01-01T00:00:00+14:00"},
    ],
    ids=lambda change: repr(change)[:40],
)
def test_what_the_table_could_not_hold_is_no_entry(change: dict[str, Any]) -> None:
    """Whoever may write to the topic may write anything: it must not stop the one who reads it back."""
    document = orjson.loads(audit_record(chain(1)[0]).value or b"")

    with pytest.raises((KeyError, TypeError, ValueError)):
        entry_of(orjson.dumps({**document, **change}))


@pytest.mark.parametrize("levels", [260, 900, 5_000])
def test_what_is_nested_deeper_than_it_can_be_hashed_is_no_entry(levels: int) -> None:
    body = audit_record(replace(chain(1)[0], action=replace(chain(1)[0].action, detail={}))).value or b""
    nested = b'{"x":' * levels + b"1" + b"}" * levels

    with pytest.raises(ValueError):  # noqa: PT011  (orjson's own, or ours: who reads the topic tells none from the other)
        entry_of(body.replace(b'"detail":{}', b'"detail":' + nested))


@given(st.text(max_size=20), st.sampled_from(["", "\\u0000", "\\\\u0000", "u0000", "\\"]), st.text(max_size=20))
@example("took ", "\\u0000", " out of the description")
def test_whatever_an_operator_writes_comes_back_from_the_topic(before: str, between: str, after: str) -> None:
    """A backslash before u0000 is six characters, and no NUL: PostgreSQL takes them, and so does the topic."""
    text = (before + between + after).replace("\0", "")
    entry = chained(Action(AT, "olga", "edit", "dl_1", text, detail={text: [text]}), None)

    assert entry_of(audit_record(entry).value or b"") == entry


def test_a_hash_over_parts_tells_where_a_part_ends() -> None:
    assert len({sha256(b"ab", b"c"), sha256(b"a", b"bc"), sha256(b"abc", None), sha256(b"abc", b"")}) == 4
