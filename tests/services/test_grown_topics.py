"""After the documented growth of partitions: what new topics bring is later, although their offsets begin at 0.

Otherwise every snapshot of an order would lose against the ones from before, and its status be wrong for ever. And what
still waits for its order came from a topic that nobody reads any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from payonce import catalog
from payonce.adapters.rebuild_tables import RebuildRefused
from payonce.catalog import heir_of, place_in_log, topic_of, topics
from payonce.codec import webhook_record
from payonce.dead_letters import dead_letter
from payonce.domain.commands import RegisterPayment
from payonce.domain.events import PspSnapshot
from payonce.domain.merge import Facts, merge
from payonce.domain.order import view
from payonce.ports import Record, TopicPartition
from payonce.verification.letters import DeadLetters
from services.status_processor.reading import Entry, read
from services.status_processor.rebuild.rebuilding import refuse_truncated
from tests.fakes.clock import simulated
from tests.fakes.log import as_read, command_record
from tests.fakes.orders import refresh
from tests.fakes.psp_worker import World
from tests.fakes.registrations import register
from tests.unit.domain import factories as make

COMMANDS, WEBHOOKS = "payments.commands", "payments.webhooks"


@pytest.fixture(autouse=True)
def grown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Commands and webhooks as somebody declares them who follows the runbook, for the second time."""
    declared = (catalog.SCHEMAS / "topics.toml").read_text()
    for name in (COMMANDS, WEBHOOKS):
        heir = f'[topic."{name}.3"]\nbefore = ["{name}", "{name}.2"]\npartitions = 24'
        declared = declared.replace(f'[topic."{name}"]', heir).replace(f'"{name}.dlt"', f'"{name}.3.dlt"')
    (tmp_path / "topics.toml").write_text(declared)
    for folder in ("messages", "examples"):
        (tmp_path / folder).symlink_to(catalog.SCHEMAS / folder)
    cached = (catalog.topics, catalog._generations, catalog._topic_by_message)
    with monkeypatch.context() as patched:
        patched.setattr(catalog, "SCHEMAS", tmp_path)
        for each in cached:
            each.cache_clear()
        yield
    for each in cached:
        each.cache_clear()


def folded(facts: Facts, *records: Record) -> Facts:
    for record in records:
        entry = read(record, group="status_processor", livemode=False)
        assert isinstance(entry, Entry)
        facts = merge(facts, entry.facts)
    return facts


def commanded(command: RegisterPayment, topic: str, offset: int) -> Record:
    return replace(command_record(command, offset=offset), topic=topic)


def test_a_topic_that_took_over_says_from_which() -> None:
    assert [topic_of("RegisterPayment"), topic_of("PspEvent")] == [f"{COMMANDS}.3", f"{WEBHOOKS}.3"]
    assert [heir_of(name) for name in (COMMANDS, f"{COMMANDS}.2", f"{COMMANDS}.3")] == [f"{COMMANDS}.3"] * 3
    assert heir_of("of nobody") == "of nobody"
    assert topics()[f"{COMMANDS}.3"].partitions == 24


def test_the_first_generation_counts_as_its_offsets_do() -> None:
    """So facts that are stored already stay what they are."""
    assert [place_in_log(topic, 17) for topic in (COMMANDS, "payments.tokens", "of nobody")] == [17, 17, 17]


def test_the_first_record_of_a_topic_comes_after_the_last_of_the_one_before() -> None:
    places = [
        place_in_log(topic, offset) for topic in (COMMANDS, f"{COMMANDS}.2", f"{COMMANDS}.3") for offset in (0, 9)
    ]

    assert places == sorted(places)
    assert len(set(places)) == 6
    assert place_in_log(COMMANDS, 10**12) < place_in_log(f"{COMMANDS}.2", 0)
    assert place_in_log(f"{COMMANDS}.3", 10**12) < 2**53


def test_a_snapshot_after_the_growth_is_newer_than_all_before_it() -> None:
    world = World()

    async def scenario() -> None:
        await world.handle(register())
        await world.handle(command_record(refresh(), offset=5))

    simulated(scenario())
    [snapshot] = [each for each in world.outcomes() if isinstance(each, PspSnapshot)]
    before = make.snapshot(make.dispute("appeal_under_review"), refresh_offset=900_000)
    after = make.snapshot(make.dispute("lost"), refresh_offset=snapshot.refresh_offset)
    facts = make.fold(make.command(), make.token(), make.completed(), make.disputed("appeal_under_review"), before)
    assert view(facts).status == "disputed"
    assert view(merge(facts, make.fold(make.disputed("lost"), after))).status == "charged_back"


def test_the_body_that_was_commanded_before_the_growth_goes_before_one_after_it() -> None:
    first, second = make.command(), make.command(replace(make.SALE, amount=1))
    facts = folded({}, commanded(second, f"{COMMANDS}.3", 0), commanded(first, COMMANDS, 900_000))

    terms = view(facts).terms
    assert terms is not None
    assert terms.amount == first.terms.amount


def test_a_rebuild_from_topics_that_took_over_is_refused() -> None:
    """They begin at offset 0 and hold the newer orders only: a rebuild from them would take the older ones away."""

    class WholeTopics:
        def bounds(self, names: Sequence[str]) -> dict[TopicPartition, tuple[int, int]]:
            return {TopicPartition(name, 0): (0, 9) for name in names}

    refuse_truncated(WholeTopics(), ["payments.tokens"])
    with pytest.raises(RebuildRefused, match="took over from an older topic"):
        refuse_truncated(WholeTopics(), ["payments.tokens", f"{COMMANDS}.3"])


def test_an_event_that_waited_for_its_order_through_the_growth_is_still_folded() -> None:
    """It is kept with the topic that it came from; nobody would ever look into that topic's dead letters."""
    event = {"id": "evt_1", "object": "event", "type": "charge.dispute.created", "created": 1_800_000_000}
    event |= {"livemode": False, "api_version": None, "data": {"object": make.dispute("needs_response")}}
    written = webhook_record(orjson.dumps(event), event, key="dp_1", received_at=1_800_000_000)
    waited = replace(as_read(written, offset=3), topic=WEBHOOKS)

    assert folded({}, waited) == folded({}, as_read(written))
    letter = dead_letter(waited, reason="unresolved", error="", group="status_processor", at=0)
    assert letter.topic == f"{WEBHOOKS}.3.dlt"
    assert list(DeadLetters().add([as_read(letter)])) == []
