"""7 and 8: what is set aside is there with its bytes, in its topic and in the index, and comes back where it failed.

That replaying is harmless is what all other guarantees say of a run in which letters were replayed.
"""

from __future__ import annotations

from collections.abc import Iterator

from payonce.audit import BrokenChain, check_against_topic, entry_of
from payonce.catalog import topics_read_by, topics_written_by
from payonce.ports import Record
from payonce.verification.letters import origin_of
from services.ops_console.letters import letter_id_of
from services.status_processor.reading import Unfoldable, read
from tests.simulation.ops_tables import letters_of
from tests.simulation.world import World

#: Dead letters that the runs ask for: garbage, refusals, and outcomes that only ops can settle.
_EXPECTED_REASONS = frozenset(
    {"not_json", "wrong_shape", "missing_type", "unknown_type", "unknown_version", "key_mismatch"}
    | {"psp_refused", "unknown_outcome", "unresolved"}
)
_READ_TOPICS = topics_read_by("status_processor")
_REPLAYED_TOPICS = frozenset(_READ_TOPICS)
_FOLD, _WEBHOOKS = "status_processor", "payments.webhooks"
(_AUDIT,) = topics_read_by("audit")


def letters(world: World) -> Iterator[Record]:
    """Yield every record of the dead-letter topics."""
    for topic in topics_read_by("ops_console"):
        yield from world.log.topic(topic)


def buried_events(world: World) -> set[tuple[str, str]]:
    """Return what the fold has set aside of the events: where each was first, and the how manieth time it was."""
    return {
        (origin_of(letter), letter.header("dlt-attempts") or "")
        for letter in world.log.topic(f"{_WEBHOOKS}.dlt")
        if letter.header("dlt-group") == _FOLD
    }


def as_buried(record: Record) -> tuple[str, str]:
    """Return how `buried_events` would name a record of the log."""
    return origin_of(record), str(int(record.header("dlt-attempts") or 0) + 1)


def set_aside_with_a_reason(world: World) -> Iterator[str]:
    """Nothing is set aside because something was away, and nothing that cannot be read has gone missing."""
    dead = {(origin_of(letter), letter.header("dlt-group")) for letter in letters(world)}
    for letter in letters(world):
        if (reason := letter.header("dlt-reason")) not in _EXPECTED_REASONS:
            yield f"a dead letter for {reason}: {letter.header('dlt-error')}"
    for topic in _READ_TOPICS:
        for record in world.log.topic(topic):
            reading = read(record, group=_FOLD, livemode=False)
            if isinstance(reading, Unfoldable) and (origin_of(record), _FOLD) not in dead:
                yield f"neither folded nor set aside: {origin_of(record)}"


def indexed(world: World) -> Iterator[str]:
    """Every letter is in the index with bytes that were set aside, and the index knows the last time it came."""
    known = letters_of(world.database).letters
    bytes_of: dict[str, list[tuple[bytes | None, bytes | None]]] = {}
    for letter in letters(world):
        name = letter_id_of(letter.header("dlt-origin") or "", letter.header("dlt-group") or "")
        bytes_of.setdefault(name, []).append((letter.key, letter.value))
        row = known.get(name)
        if row is None:
            yield f"the letter of {origin_of(letter)} for {letter.header('dlt-group')} is in no index"
        elif row.dlt_partition == letter.partition and row.dlt_offset < letter.offset:
            yield f"the index has not seen the last letter of {origin_of(letter)}"
    for name, row in known.items():
        if (row.key, row.value) not in bytes_of.get(name, ()):
            yield f"the index has bytes of {row.origin} for {row.group} that nobody set aside"


def replayed_where_it_failed(world: World) -> Iterator[str]:
    """What comes back under its own identity says for whom; every other group lets it pass."""
    for topic in topics_written_by("ops_console"):
        for record in world.log.topic(topic) if topic in _REPLAYED_TOPICS else ():
            is_new = record.header("ce_source") == "ops_console"  # a new command is for everyone
            if record.header("dlt-origin") is not None and record.header("replay-for") is None and not is_new:
                yield f"a replay of {origin_of(record)} is addressed to nobody"


def audited(world: World) -> Iterator[str]:
    """Every deed is in one chain, in the database and on its topic, also after the database was restored."""
    tables = letters_of(world.database)
    anchored = [entry_of(record.value or b"") for record in world.log.topic(_AUDIT)]
    try:
        check_against_topic(tables.actions, anchored, published_up_to=len(tables.published))
    except BrokenChain as broken:
        yield f"the audit chain is broken: {broken}"
