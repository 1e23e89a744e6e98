"""Old dead-letter records go only when they are old, indexed, and answered as all before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from payonce.ports import TopicPartition
from services.ops_console.retention import KEPT_SECONDS, Retention, deletable
from tests.fakes.dead_letters import letter, original
from tests.fakes.ops_store import MemoryOpsStore
from tests.fakes.registrations import register
from tests.fakes.virtual_clock import START, VirtualClock

PLACE = TopicPartition("payments.commands.dlt", 1)
offsets = st.integers(0, 50)


@given(offsets, offsets, st.none() | offsets)
def test_nothing_young_unindexed_or_unanswered_is_deleted(young: int, indexed: int, unresolved: int | None) -> None:
    before = deletable({PLACE: young}, {PLACE: indexed}, {} if unresolved is None else {PLACE: unresolved})

    limit = min([young, indexed] + ([] if unresolved is None else [unresolved]))
    assert before == ({PLACE: limit} if limit else {})


class Deletion:
    """A log whose partitions are young from this offset on."""

    def __init__(self, young: int) -> None:
        self.young = young
        self.asked_at = 0.0
        self.deleted: dict[TopicPartition, int] = {}

    async def first_younger(self, topics: Sequence[str], at: float) -> Mapping[TopicPartition, int]:
        self.asked_at = at
        return {TopicPartition(topic, 1): self.young for topic in topics}

    async def delete_before(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.deleted.update(offsets)


async def test_the_oldest_open_letter_holds_everything_above_it() -> None:
    store, deletion = MemoryOpsStore(), Deletion(young=40)
    row = letter(original(register()), offset=12)

    def fill(tx: object) -> None:
        store.tables.letters[row.letter_id] = row
        store.tables.positions[PLACE] = 50

    fill(None)
    retention = Retention(store, deletion, VirtualClock(), ["payments.commands.dlt"])

    await retention.run_once()

    assert deletion.deleted == {PLACE: 12}
    assert deletion.asked_at == START - KEPT_SECONDS
