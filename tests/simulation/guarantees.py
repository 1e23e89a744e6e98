"""The guarantees of docs/guarantees.md, asked of a world that has come to rest. What each returns is what is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson

from payonce.codec import Undecodable, decode
from payonce.domain.commands import Command, RegisterPayment
from payonce.domain.events import AttemptCancelled, OrderStatusChanged, RegistrationFailed, TokenIssued
from payonce.domain.identity import name_based_id
from payonce.domain.merge import Facts, merge
from payonce.domain.order import view
from payonce.domain.order_columns import columns_of
from payonce.ports import Record
from payonce.verification.letters import origin_of
from services.status_processor.merging import address
from services.status_processor.reading import Entry, read
from tests.simulation.dead_letters import (
    as_buried,
    audited,
    buried_events,
    indexed,
    replayed_where_it_failed,
    set_aside_with_a_reason,
)
from tests.simulation.dice import dice
from tests.simulation.fold_tables import ORDERS, OUTBOX
from tests.simulation.process import LIMIT_PER_SECOND
from tests.simulation.psp_account import SessionRecord
from tests.simulation.shop import Order
from tests.simulation.truth import status_is_the_truth, sums_are_the_truth
from tests.simulation.versions import NOVELTY
from tests.simulation.webhook_sender import WebhookSender
from tests.simulation.world import World

_READ_TOPICS = ("payments.commands", "payments.tokens", "payments.webhooks")


def violations(world: World, orders: list[Order], sender: WebhookSender) -> Iterator[str]:
    """Yield every guarantee that the run has broken."""
    yield from world.violations
    yield from _answered(world)
    yield from _one_session(world, orders)
    yield from _one_refund(world)
    yield from _one_token(world)
    yield from _cancelled_means_closed(world)
    yield from _failed_means_failed(world)
    yield from _thanked_events_are_in_the_log(world, sender)
    yield from _rows_are_the_fold_of_the_log(world)
    yield from status_is_the_truth(world, orders)
    yield from sums_are_the_truth(world, orders)
    yield from _outbox_is_empty(world)
    for check in (set_aside_with_a_reason, indexed, replayed_where_it_failed, audited):
        yield from check(world)
    yield from _announcements(world)
    yield from _pace(world)


def watch_sessions(world: World) -> Iterator[str]:
    """Yield orders that can be paid twice at this moment."""
    payable: Counter[str] = Counter(
        record.metadata["order_id"]
        for record in world.psp.sessions.values()
        if record.is_open and record.is_revealed and not record.is_late_born and "order_id" in record.metadata
    )
    yield from (f"{count} payable sessions at once for {order_id}" for order_id, count in payable.items() if count > 1)
    if payable:
        yield from _cancelled_means_closed(world, excused=_forgotten_refusals(world))


def watch_cancellations(world: World) -> None:
    """Look at Stripe at every moment at which an attempt is said to be cancelled."""

    def hear(record: Record) -> None:
        if record.header("ce_type") == "payonce.AttemptCancelled.v1":
            message = decode(record)
            assert isinstance(message, AttemptCancelled)
            world.violations.extend(_still_open(world, message))

    world.log.listeners.append(hear)


def _cancelled_means_closed(world: World, excused: Collection[tuple[str, int]] = ()) -> Iterator[str]:
    for _, message in _messages(world, "payments.tokens"):
        if isinstance(message, AttemptCancelled) and (message.order_id, message.attempt) not in excused:
            yield from _still_open(world, message)


def _forgotten_refusals(world: World) -> set[tuple[str, int]]:
    """Return attempts that Stripe refused, and that a restored ledger may try again: a limit of guarantee 2.

    Cancelled since, they may be open until the cancellation has been read again: for moments, never at rest.
    """
    if not world.was_restored:
        return set()
    told = (message for _, message in _messages(world, "payments.tokens"))
    refused = (each for each in told if isinstance(each, RegistrationFailed) and each.reason == "psp_refused")
    return {(each.order_id, each.attempt) for each in refused}


def _still_open(world: World, message: AttemptCancelled) -> Iterator[str]:
    name = (message.order_id, str(message.attempt))
    for record in world.psp.sessions.values():
        attempt = (record.metadata.get("order_id"), record.metadata.get("attempt"))
        if attempt == name and record.is_open and not record.is_late_born:
            yield f"attempt {name[1]} of {name[0]} is cancelled, and can be paid"


def _messages(world: World, topic: str) -> Iterator[tuple[Record, Any]]:
    for record in world.log.topic(topic):
        try:
            yield record, decode(record)
        except Undecodable:
            continue


def _answered(world: World) -> Iterator[str]:
    """1: every command has an outcome event or a dead letter."""
    events = [message for _, message in _messages(world, "payments.tokens")]
    outcomes = {message.command_id for message in events}
    cancelled = {(message.order_id, message.attempt) for message in events if isinstance(message, AttemptCancelled)}
    dead = {record.header("dlt-origin") for record in world.log.topic("payments.commands.dlt")}
    for record, command in _messages(world, "payments.commands"):
        assert isinstance(command, Command)
        if isinstance(command, RegisterPayment) and (command.order_id, command.attempt) in cancelled:
            continue  # cancelled before it was registered: that is its outcome
        if _has_vanished(world, command):
            continue
        if command.command_id not in outcomes and origin_of(record) not in dead:
            yield f"no outcome for {type(command).__name__} at {origin_of(record)}"


def _has_vanished(world: World, command: Command) -> bool:
    """Return whether its answer was lost by the log itself, and the order has gone on without it."""
    kinds = ("TokenIssued", "RegistrationFailed")
    answers = {name_based_id("evt", command.order_id, command.command_id, kind) for kind in kinds}
    row = world.database.tables.get(ORDERS, {}).get(command.order_id)
    is_known = row is not None and row[1]["payment_order_status"] != "created"
    return is_known and not answers.isdisjoint(world.news.vanished_ids)


def _one_session(world: World, orders: list[Order]) -> Iterator[str]:
    """2: one session per attempt, one that can be paid per order, one payment per order."""
    by_attempt: defaultdict[tuple[str, str], list[SessionRecord]] = defaultdict(list)
    for record in world.psp.sessions.values():
        if "order_id" in record.metadata and not record.is_late_born:
            by_attempt[record.metadata["order_id"], record.metadata["attempt"]].append(record)
    for (order_id, attempt), records in by_attempt.items():
        if len(records) > 1:
            yield f"{len(records)} sessions for attempt {attempt} of {order_id}"
    paid: Counter[str] = Counter(
        intent["metadata"]["order_id"]
        for intent in world.psp.intents.values()
        if intent["status"] == "succeeded" and intent["metadata"]
    )
    yield from (f"{count} payments for {order_id}" for order_id, count in paid.items() if count > 1)


def _one_refund(world: World) -> Iterator[str]:
    """2: a refund reference moves money once."""
    asked: Counter[tuple[str, str]] = Counter(
        (refund["metadata"]["order_id"], refund["metadata"]["refund_reference"])
        for refund in world.psp.refunds.values()
        if refund["metadata"]
    )
    yield from (f"{count} refunds for {name}" for name, count in asked.items() if count > 1)


def _one_token(world: World) -> Iterator[str]:
    """2: however often an outcome is repeated, it names one session."""
    tokens: dict[tuple[str, int], str] = {}
    for _, message in _messages(world, "payments.tokens"):
        if isinstance(message, TokenIssued):
            first = tokens.setdefault((message.order_id, message.attempt), message.session_id)
            if first != message.session_id:
                yield f"two tokens for attempt {message.attempt} of {message.order_id}: {first}, {message.session_id}"


def _failed_means_failed(world: World) -> Iterator[str]:
    """1: an attempt that was proven to have failed has no session, but for one that Stripe brings forth later."""
    made = {
        (record.metadata["order_id"], int(record.metadata["attempt"])): session_id
        for session_id, record in world.psp.sessions.items()
        if "order_id" in record.metadata and not record.is_late_born
    }
    forgotten = _forgotten_refusals(world)
    for _, message in _messages(world, "payments.tokens"):
        attempt = (message.order_id, getattr(message, "attempt", None))
        if isinstance(message, RegistrationFailed) and attempt in made and attempt not in forgotten:
            yield f"attempt {message.attempt} of {message.order_id} failed ({message.reason}), and has a session"


def _thanked_events_are_in_the_log(world: World, sender: WebhookSender) -> Iterator[str]:
    """4: a webhook that was answered 200 is durable."""
    written = {record.header("ce_id") for record in world.log.topic("payments.webhooks")}
    yield from (f"answered 200 and not in the log: {each}" for each in sender.thanked if each not in written)


def _rows_are_the_fold_of_the_log(world: World) -> Iterator[str]:
    """4, 5, 9: the rows are what all records give, in another order and with repetitions."""
    facts = _folded_anew(world)
    stored = {order_id: _known(row[0]) for order_id, row in world.database.tables.get(ORDERS, {}).items()}
    for order_id in sorted(facts.keys() | stored.keys()):
        ours, theirs = facts.get(order_id, {}), stored.get(order_id, {})
        if ours != theirs:
            yield f"{order_id} is not the fold of the log: {_difference(theirs, ours)}"
    for order_id, (raw, columns, _) in world.database.tables.get(ORDERS, {}).items():
        if columns["payment_order_status"] is not None and columns != columns_of(view(orjson.loads(raw))):
            yield f"{order_id}: the columns do not follow from the facts"


def _known(facts: bytes) -> dict[str, Any]:
    """Return the facts that this version knows."""
    return {name: known for name, known in orjson.loads(facts).items() if name != NOVELTY}


def _folded_anew(world: World) -> dict[str, Facts]:
    records = [record for topic in _READ_TOPICS for record in world.log.topic(topic)]
    readings = [read(record, group="status_processor", livemode=False) for record in records]
    buried = buried_events(world)
    entries = [each for each in readings if isinstance(each, Entry) and as_buried(each.record) not in buried]
    dice(len(records)).shuffle(entries)
    known: dict[str, str] = {}
    addressed, _ = address(entries + entries[::3], known)
    facts: dict[str, Facts] = {}
    for entry, order_id in addressed:
        facts[order_id] = merge(facts.get(order_id, {}), entry.facts)
    return {order_id: orjson.loads(orjson.dumps(each)) for order_id, each in facts.items()}


def _difference(stored: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    names = sorted(name for name in stored.keys() | expected.keys() if stored.get(name) != expected.get(name))
    return "; ".join(f"{name}: stored {stored.get(name)}, expected {expected.get(name)}" for name in names)[:600]


def _outbox_is_empty(world: World) -> Iterator[str]:
    if world.database.tables.get(OUTBOX):
        yield "announcements are left in the outbox"


def _announcements(world: World) -> Iterator[str]:
    """9: versions never go back, one version says one thing, and the last says what the row says."""
    heard: dict[str, OrderStatusChanged] = {}
    bodies: dict[tuple[str, int], bytes] = {}
    for record, message in _messages(world, "payments.status"):
        assert isinstance(message, OrderStatusChanged)
        assert record.value is not None
        said = bodies.get((message.order_id, message.version))
        latest = heard.get(message.order_id)
        if said is not None and said != record.value:
            yield f"{message.order_id}: version {message.version} says two things"
        if b"stripe.example" in record.value:
            yield f"{message.order_id}: a payment link on the public topic"
        bodies[message.order_id, message.version] = record.value
        if latest is None or message.version > latest.version:
            heard[message.order_id] = message
    for order_id, (_, columns, _) in world.database.tables.get(ORDERS, {}).items():
        if columns.get("client_id") is None:
            continue
        said_last = heard.get(order_id)
        if said_last is None:
            yield f"{order_id} was never announced"
        elif (said_last.payment_order_status, list(said_last.flags), said_last.amount_paid) != (
            columns["payment_order_status"],
            list(columns["flags"]),
            columns["amount_paid"],
        ):
            yield f"{order_id}: announced {said_last.payment_order_status}, stored {columns['payment_order_status']}"


def _pace(world: World) -> Iterator[str]:
    """10: never more calls in one second than Stripe allows, but for a process frozen between check and send."""
    calls = world.psp.calls
    for index, began in enumerate(calls):
        window = sum(1 for call in calls[index : index + 40] if call < began + 1.0)
        if window > LIMIT_PER_SECOND:
            yield f"{window} calls within one second from {began:.2f}"
            return
