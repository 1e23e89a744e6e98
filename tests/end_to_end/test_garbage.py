"""Ten thousand pieces of garbage in each topic, good orders between them: nothing is lost, nothing waits behind it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

import httpx
import pytest
from confluent_kafka import KafkaError, Message, Producer

from payonce.adapters.kafka.producer import producer_config
from payonce.dead_letters import SUFFIX
from payonce.domain.identity import name_based_id
from sandbox.world import World, WorldOptions
from tests.end_to_end.shop import Shop, eventually
from tests.end_to_end.traffic import Traffic
from tests.end_to_end.verifying import verified
from tests.fakes.garbage import FOREIGN, UNRESOLVED, Piece, garbage

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_800)]

PIECES: Final = 10_000
#: Into each dead-letter topic itself: whoever can write there is nobody's reader.
UNSIGNED: Final = 500
CHUNK: Final = 500
TOPICS: Final = ("payments.commands", "payments.tokens", "payments.webhooks")
SERVICES: Final = ("checkout_api", "psp_worker", "status_processor", "reconciler", "ops_console")
#: Tens of thousands of letters are written, indexed and read back by two cores.
PATIENCE_SECONDS: Final = 600.0

Place = tuple[str, int, int]
Identity = tuple[str, str]


@pytest.fixture(scope="module")
def own_world() -> Iterator[World]:
    """A world of its own: its topics are not fit for others afterwards."""
    options = WorldOptions(with_shop=True, reconciler_share=10, reconcile_interval_seconds=1)
    with World(options, on_progress=print) as running:
        yield running


@pytest.fixture
def shop(own_world: World) -> Iterator[Shop]:
    with Shop(own_world) as client:
        yield client


@dataclass(slots=True)
class Rubbish:
    """What was thrown into the topics, by where it came to lie."""

    thrown: dict[Place, Piece] = field(default_factory=dict)

    def landed(self, piece: Piece, error: KafkaError | None, message: Message) -> None:
        """Note a delivery report."""
        assert error is None, (error, piece.topic, piece.headers)
        self.thrown[message.topic(), message.partition(), message.offset()] = piece

    def letters(self) -> dict[Identity, Piece]:
        """What must become a dead letter, by (origin, group)."""
        return {
            ("/".join(map(str, place)), group): piece for place, piece in self.thrown.items() for group in piece.groups
        }

    def foreign(self) -> int:
        return sum(piece.reason == FOREIGN for piece in self.thrown.values())


def throw(shop: Shop, traffic: Traffic, rubbish: Rubbish) -> None:
    """Produce the garbage of all topics in turns, under the keys of good orders as well, while those go on."""
    producer = Producer(producer_config(shop.addresses.kafka_bootstrap_servers, "vandal"))
    heaps = [garbage(topic, PIECES, keys=[key.encode() for key in traffic.paid]) for topic in TOPICS]
    while chunk := [piece for heap in heaps for piece in islice(heap, CHUNK)]:
        for piece in chunk:
            landed = partial(rubbish.landed, piece)
            producer.produce(piece.topic, piece.value, piece.key, headers=list(piece.headers), on_delivery=landed)
        assert producer.flush(60) == 0
    for topic in TOPICS:
        for piece in garbage(topic, UNSIGNED, keys=(), seed="unsigned"):
            producer.produce(topic + SUFFIX, piece.value, piece.key, headers=list(piece.headers))
    assert producer.flush(60) == 0


def set_aside(shop: Shop, topic: str) -> dict[Identity, list[Message]]:
    """The signed letters of a dead-letter topic by their identity."""
    found: dict[Identity, list[Message]] = {}
    for message in shop.records(topic + SUFFIX):
        headers = dict(message.headers() or [])
        if "dlt-origin" in headers:
            found.setdefault((headers["dlt-origin"].decode(), headers["dlt-group"].decode()), []).append(message)
    return found


def reason_of(letter: Message) -> str:
    reason: bytes = dict(letter.headers() or [])["dlt-reason"]
    return reason.decode()


def is_untouched(letter: Message, piece: Piece) -> bool:
    """Whether bytes, key and the headers that it came with are as they were."""
    headers = tuple(each for each in letter.headers() or [] if not each[0].startswith("dlt-"))
    return (letter.key(), letter.value(), headers) == (piece.key, piece.value, piece.headers)


def metric(shop: Shop, process: str, name: str) -> float:
    page = httpx.get(f"{shop.addresses.health_urls[process]}/metrics", timeout=30).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))


def test_garbage_in_every_topic_is_set_aside_with_its_reason_and_good_orders_pass(own_world: World, shop: Shop) -> None:
    """Each piece is a dead letter of each of its readers, once, untouched; or foreign, and counted. No reader ends."""
    rubbish = Rubbish()
    with Traffic(own_world) as traffic:
        eventually(lambda: len(traffic.paid) >= 10, "orders before", PATIENCE_SECONDS)
        throw(shop, traffic, rubbish)
        known = len(traffic.paid)
        eventually(lambda: len(traffic.paid) >= known + 20, "orders afterwards", PATIENCE_SECONDS)

    age_what_waits(shop, rubbish)
    wanted = rubbish.letters()
    eventually(lambda: letters_in_topics(shop) >= len(wanted) + UNSIGNED * len(TOPICS), "set aside", PATIENCE_SECONDS)
    for topic in TOPICS:
        assert_letters(wanted, set_aside(shop, topic), topic)
    foreign, counted = rubbish.foreign(), partial(metric, shop, "status_processor", "payonce_fold_foreign_events_total")
    eventually(lambda: counted() >= foreign, "the foreign are counted", PATIENCE_SECONDS)
    assert_indexed(shop, wanted)
    assert_good(shop, traffic)
    # Whoever writes into a dead-letter topic what nobody has set aside is found, and nothing else is.
    report = verified(own_world, grace_seconds=5)
    assert {check.name for check in report.checks if check.violations} == {"dead letters say where they come from"}
    assert {name: own_world.supervisor.restarts(name) for name in SERVICES} == dict.fromkeys(SERVICES, 0)


def age_what_waits(shop: Shop, rubbish: Rubbish) -> None:
    """Let a day pass for the events that wait for an order, once all of them do."""
    waiting = sum(piece.reason == UNRESOLVED for piece in rubbish.thrown.values())
    count = "SELECT count(*) AS n FROM unresolved_event WHERE event_id LIKE 'evt_payments.webhooks-%'"
    eventually(lambda: shop.rows(count)[0]["n"] == waiting, f"{waiting} events wait", PATIENCE_SECONDS)
    shop.execute("UPDATE unresolved_event SET waiting_since = waiting_since - interval '25 h'")


def letters_in_topics(shop: Shop) -> int:
    return shop.log_size([topic + SUFFIX for topic in TOPICS])


def assert_letters(wanted: Mapping[Identity, Piece], found: Mapping[Identity, list[Message]], topic: str) -> None:
    expected = {identity: piece for identity, piece in wanted.items() if piece.topic == topic}
    assert set(expected) - set(found) == set(), f"lost: {Counter(piece.reason for piece in expected.values())}"
    assert set(found) - set(expected) == set(), "set aside, and nobody knows why"
    wrong = Counter(
        (piece.reason, reason_of(letter), piece.headers[1:2], (piece.value or b"")[:60])
        for identity, piece in expected.items()
        for letter in found[identity]
        if reason_of(letter) != piece.reason
    )
    assert wrong == {}
    assert [identity for identity, piece in expected.items() if not is_untouched(found[identity][-1], piece)] == []
    assert [identity for identity, letters in found.items() if len(letters) > 1] == []


def assert_indexed(shop: Shop, wanted: Mapping[Identity, Piece]) -> None:
    """Ops find every one of them, and what nobody signed as well."""
    count = "SELECT count(*) AS n FROM dead_letter WHERE failed_group {} 'unknown'"
    eventually(lambda: shop.rows(count.format("<>"))[0]["n"] == len(wanted), "all are indexed", PATIENCE_SECONDS)
    eventually(
        lambda: shop.rows(count.format("="))[0]["n"] == UNSIGNED * len(TOPICS), "so are the unsigned", PATIENCE_SECONDS
    )
    ids = {name_based_id("dl", origin, group): piece.reason for (origin, group), piece in wanted.items()}
    rows = shop.rows("SELECT letter_id, reason FROM dead_letter WHERE failed_group <> 'unknown'")
    assert {row["letter_id"]: row["reason"] for row in rows} == ids


def assert_good(shop: Shop, traffic: Traffic) -> None:
    for order_id in traffic.paid:
        order = shop.wait_for_status(order_id, "paid")
        assert (order["amount_paid"], order["flags"]) == (order["amount"], [])
    assert {order_id: n for order_id in traffic.accepted if (n := shop.sessions_of(order_id)) != 1} == {}
