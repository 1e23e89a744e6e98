"""The checks that read commands, tokens, webhooks and their dead letters: nothing is lost on the way.

A suspicion is looked into once more, after what has come meanwhile is read: the system goes on while we look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from payonce.adapters.verify_reads import page_reads, positions
from payonce.catalog import heir_of, topic_of, topics_read_by
from payonce.dead_letters import SUFFIX
from payonce.ports import Record, TopicPartition
from payonce.verification import folded
from payonce.verification.findings import Check, Finding
from payonce.verification.letters import DeadLetters, place_of
from payonce.verification.outcomes import Outcomes
from payonce.verification.source import Source

COMMANDS, TOKENS, WEBHOOKS = (topic_of(name) for name in ("RegisterPayment", "TokenIssued", "PspEvent"))
FOLDED = topics_read_by("status_processor")
#: So many suspicious records are looked into again; more are no race.
_SECOND_LOOK = 2_000
_GUARANTEE_OF = {COMMANDS: 1, TOKENS: 3, WEBHOOKS: 4}


def check_letters(source: Source, letters: DeadLetters) -> Check:
    """Read the dead letters into the index; every one must say what it is."""
    check = Check(7, "dead letters say where they come from")
    for topic in FOLDED:
        for batch in source.read(topic + SUFFIX):
            check.add(len(batch), letters.add(batch))
    return check


def check_outcomes(source: Source, letters: DeadLetters) -> Check:
    """Every command older than the grace period has an outcome event or a dead letter."""
    check, outcomes = Check(1, "every command has an outcome or a dead letter"), Outcomes(letters)
    for batch in source.read(TOKENS):
        outcomes.add(batch)
    for batch in source.read(COMMANDS):
        check.add(outcomes.look(batch, older_than_ms=source.older_than_ms))
    if outcomes.is_open:
        _read_on(source, letters)
        for batch in source.read_on(TOKENS):
            outcomes.add(batch)
    check.add(0, outcomes.findings())
    return check


def check_folded(source: Source, letters: DeadLetters, topic: str) -> list[Check]:
    """Everything below the fold's position is in the tables or accounted for, and the fold is not far behind."""
    stored = Check(_GUARANTEE_OF[topic], f"{topic}: folded, waiting, foreign or a dead letter")
    behind = Check(8, f"{topic}: nothing old is unread by the fold")
    reached = positions(source.database, "fold_position")
    fates: Counter[str] = Counter()
    suspicious: list[Record] = []
    for batch in source.read(topic):
        read = [record for record in batch if record.offset < reached.get(record.topic_partition, 0)]
        behind.add(len(batch), _unread(batch, reached, source.older_than_ms))
        counts, lost = _look(source, letters, read)
        fates += Counter(counts)
        stored.add(len(read) - len(lost))
        room = _SECOND_LOOK - len(suspicious)
        suspicious += lost[:room]
        stored.add(len(lost[room:]), [Finding(place_of(each), "is not accounted for") for each in lost[room:]])
    if suspicious:
        _read_on(source, letters)
        stored.add(len(suspicious), _findings(source, letters, suspicious))
    stored.note = ", ".join(f"{count:,} {fate}" for fate, count in sorted(fates.items()) if fate != "folded")
    return [stored, behind]


def check_positions(source: Source) -> Check:
    """Hold positions against the log: beyond its end one skips what comes, below its beginning it has lost some."""
    check = Check(8, "positions lie within the log")
    tables = {table: positions(source.database, table) for table in ("fold_position", "ledger_position")}
    bounds = source.log.bounds(FOLDED)  # read later than the positions, so none of them can be ahead of it
    for table, reached in tables.items():
        wrong = misplaced(reached, bounds)
        check.add(
            len(reached),
            [Finding(f"{table} {place.topic}/{place.partition}", what) for place, what in sorted(wrong.items())],
        )
    return check


def misplaced(
    reached: Mapping[TopicPartition, int], bounds: Mapping[TopicPartition, tuple[int, int]]
) -> dict[TopicPartition, str]:
    """Return what is wrong with positions, by `bounds` (first and next offset) of the topics that are folded.

    Positions of the topics that these took over from stay for ever, and are nobody's any more.
    """
    wrong = {}
    for place, offset in reached.items():
        low, end = bounds.get(place, (0, 0))
        if heir_of(place.topic) not in FOLDED:
            wrong[place] = "is of no topic of ours, nor of one that ours took over from (`before` in topics.toml)"
        elif place.topic in FOLDED and not low <= offset <= end:
            wrong[place] = f"{offset} is not within {low} to {end}"
    return wrong


def _unread(batch: Sequence[Record], reached: Mapping[TopicPartition, int], older_than_ms: int) -> list[Finding]:
    return [
        Finding(place_of(record), "is older than the grace period and not folded")
        for record in batch
        if record.offset >= reached.get(record.topic_partition, 0) and record.timestamp_ms < older_than_ms
    ]


def _look(source: Source, letters: DeadLetters, records: Sequence[Record]) -> tuple[Counter[folded.Fate], list[Record]]:
    counts, lost = _fates(source, letters, records)
    return counts, [record for record, _ in lost]


def _findings(source: Source, letters: DeadLetters, records: Sequence[Record]) -> list[Finding]:
    return [finding for _, finding in _fates(source, letters, records)[1]]


def _fates(
    source: Source, letters: DeadLetters, records: Sequence[Record]
) -> tuple[Counter[folded.Fate], list[tuple[Record, Finding]]]:
    page = folded.told(records)
    if not page:
        return Counter(), []
    named = folded.psp_ids(page)
    with page_reads(source.database) as reads:
        owners = reads.owners(named)
        stored = folded.Stored(
            owners,
            reads.facts(folded.orders(page, owners)),
            reads.waiting(each.event_id for each in page),
            reads.foreign(named - owners.keys()),
        )
    return folded.fates(page, stored, letters)


def _read_on(source: Source, letters: DeadLetters) -> None:
    """Take in the dead letters that came meanwhile; what is wrong with them is the next verification's to tell."""
    for topic in FOLDED:
        for batch in source.read_on(topic + SUFFIX):
            for _ in letters.add(batch):
                pass
