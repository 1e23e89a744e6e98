"""Which commands count as answered."""

from __future__ import annotations

from payonce.dead_letters import dead_letter
from payonce.ports import OutgoingRecord, Record
from payonce.verification.letters import DeadLetters, origin_of, place_of
from payonce.verification.outcomes import Outcomes
from tests.services.status_processor_records import COMMANDS, Life, Log, garbage

LATE = 2**60


def placed(*records: OutgoingRecord) -> list[Record]:
    return Log().append(records)


def letter_of(record: Record, *, group: str = "psp_worker") -> Record:
    letter = dead_letter(record, reason="not_json", error="x", group=group, at=1_800_000_000.0)
    return Record(letter.topic, 0, 0, letter.key, letter.value, letter.headers)


def look(commands: list[Record], tokens: list[Record], letters: DeadLetters | None = None) -> list[str]:
    """Return where the unanswered commands lie."""
    outcomes = Outcomes(letters or DeadLetters())
    outcomes.add(tokens)
    outcomes.look(commands, older_than_ms=LATE)
    return [finding.subject for finding in outcomes.findings()]


def test_a_command_with_its_outcome_is_answered_however_often_it_was_sent() -> None:
    command, again, token = placed(Life(1).register(), Life(1).register(), Life(1).token())
    assert look([command, again], [token]) == []


def test_the_outcome_of_another_order_answers_nothing() -> None:
    [command, token] = placed(Life(1).register(), Life(2).token())
    assert look([command], [token]) == [place_of(command)]


def test_only_the_workers_dead_letter_answers_a_command() -> None:
    [command] = placed(garbage(COMMANDS))
    letters = DeadLetters()
    assert list(letters.add([letter_of(command, group="status_processor")])) == []
    assert look([command], [], letters) == [place_of(command)]
    assert list(letters.add([letter_of(command)])) == []
    assert look([command], [], letters) == []


def test_a_replay_is_answered_by_the_letter_of_its_original() -> None:
    [command] = placed(garbage(COMMANDS))
    letter = letter_of(command)
    letters = DeadLetters()
    assert list(letters.add([letter])) == []
    replay = Record(COMMANDS, 3, 99, command.key, command.value, letter.headers)
    assert origin_of(replay) == place_of(command)
    assert look([replay], [], letters) == []


def test_a_young_command_and_one_replayed_for_another_group_are_not_looked_at() -> None:
    [young] = placed(Life(1).register())
    other = Record(COMMANDS, 0, 1, young.key, young.value, (*young.headers, ("replay-for", b"status_processor")))
    outcomes = Outcomes(DeadLetters())
    assert outcomes.look([young], older_than_ms=young.timestamp_ms) == 0
    assert outcomes.look([other], older_than_ms=LATE) == 0
    assert not outcomes.is_open


def test_an_outcome_that_comes_while_we_look_counts() -> None:
    command, token = placed(Life(1).register(), Life(1).token())
    outcomes = Outcomes(DeadLetters())
    outcomes.look([command], older_than_ms=LATE)
    assert outcomes.is_open
    outcomes.add([token])
    assert outcomes.findings() == []


def test_a_letter_that_cannot_be_traced_back_is_found() -> None:
    [command] = placed(Life(1).register())
    good = letter_of(command)
    changed = {"dlt-reason": b"bad mood", "dlt-origin": b"elsewhere/0/0"}
    bad = [
        Record(
            good.topic,
            0,
            1,
            good.key,
            good.value,
            tuple((key, value if key == name else old) for key, old in good.headers),
        )
        for name, value in changed.items()
    ]
    bad.append(Record(good.topic, 0, 2, good.key, good.value, command.headers))
    assert len(list(DeadLetters().add([good, *bad]))) == 3
