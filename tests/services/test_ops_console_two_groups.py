"""Two groups' letters about one original: what goes to everyone is a new failure to whichever cannot use it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from payonce.dead_letters import dead_letter, is_replay_for_other
from payonce.ports import OutgoingRecord, Record
from payonce.ports.ops import Letter, Replay, ReplayItem
from services.ops_console.amending import Rules
from services.ops_console.deeds import Deed, Wish, edit
from services.ops_console.indexer import index
from services.ops_console.letters import letter_id_of
from services.ops_console.replaying import next_step
from tests.fakes.dead_letters import as_read, original
from tests.fakes.ops_store import MemoryOpsStore
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START

GROUPS = ("psp_worker", "status_processor")
AT = datetime.fromtimestamp(START, UTC)
ORDER = register(life_seconds=20 * 3600, issued_at=int(START))


@dataclass
class Lives:
    """An original that both groups have set aside, and what each of them read last."""

    first: Record
    store: MemoryOpsStore = field(default_factory=MemoryOpsStore)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        for group in GROUPS:
            self.fail(self.first, group)

    def fail(self, record: Record, group: str) -> None:
        """Let the group set the record aside, and the console read the letter."""
        set_aside = dead_letter(record, reason="rejected_by_database", error="x", group=group, at=START)
        letter = as_read(set_aside, partition=1, offset=next(self.numbers))
        self.store.run_now(lambda tx: index(tx, [letter]))

    def letter(self, group: str) -> Letter:
        """Return the group's letter."""
        origin = f"{self.first.topic}/{self.first.partition}/{self.first.offset}"
        return self.store.tables.letters[letter_id_of(origin, group)]

    def say(self, group: str, description: str) -> None:
        """Edit the words of the group's letter."""
        wish = Wish(changes={"terms.description": description})
        self.store.run_now(lambda tx: edit(tx, self.letter(group).letter_id, wish, Deed("olga", AT, "why")))

    def replay(self, group: str) -> OutgoingRecord | None:
        """Replay the group's letter."""
        name = f"rp_{next(self.numbers)}"
        replay = Replay(name, "olga", AT, "why")
        self.store.run_now(lambda tx: tx.insert_replay(replay, [self.letter(group).letter_id]))
        rules = Rules(START + 60, 82_500, b"secret")
        step = self.store.run_now(lambda tx: next_step(tx, rules))
        if isinstance(step, ReplayItem):
            self.store.run_now(lambda tx: tx.save_item(ReplayItem(name, 1, step.letter_id, "sent")))
        self.store.run_now(lambda tx: next_step(tx, rules))  # it is finished
        return step.record if isinstance(step, ReplayItem) else None


deeds = st.lists(
    st.tuples(st.sampled_from(GROUPS), st.booleans(), st.sets(st.sampled_from(GROUPS))), min_size=1, max_size=8
)
BOTH = set(GROUPS)


@given(deeds)
@example([("status_processor", False, BOTH), ("psp_worker", True, {"status_processor"})])
def test_what_a_group_could_not_use_last_is_its_open_letter(done: list[tuple[str, bool, set[str]]]) -> None:
    """Each deed: whose letter is replayed, whether it is edited before, and which of its readers fail on it."""
    lives = Lives(original(ORDER))
    for number, (group, is_edited, failing) in enumerate(done):
        if is_edited:
            lives.say(group, f"book {number}")
        sent = lives.replay(group)
        assert sent is not None
        record = as_read(sent, offset=100 + number)
        for reader in GROUPS:
            if is_replay_for_other(record, reader):
                continue
            before = lives.letter(reader).attempts
            assert lives.letter(reader).state == "replayed"
            if reader in failing:
                lives.fail(record, reader)
                now = lives.letter(reader)
                assert (now.state, now.value) == ("open", record.value)
                assert now.attempts > before
