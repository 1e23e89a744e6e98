"""Commands read again, out of order or several at once, on the real pipeline: the simulator counts what is payable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from payonce.adapters.kafka.producer import producer_config
from payonce.catalog import topics
from payonce.codec import decode, outgoing
from payonce.domain.commands import CancelPayment, Command, RegisterPayment
from payonce.domain.terms import order_id_of
from payonce.ports import Record
from tests.end_to_end.shop import Shop, eventually, session_id, type_of

pytestmark = pytest.mark.stack
COMMANDS, TOKENS, GROUP = "payments.commands", "payments.tokens", "psp_worker"
#: What the simulator counts and no repetition may change.
COUNTED = ("sessions_per_order", "open_sessions_per_order", "refunds_per_reference", "refunded")
#: A member that has just ended may be thought to be there for a moment.
_STILL_THERE = {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.NON_EMPTY_GROUP}


class Log:
    """Writes commands behind the API's back, and moves the worker's group."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        bootstrap = shop.addresses.kafka_bootstrap_servers
        self._producer = Producer(producer_config(bootstrap, "end-to-end-tests"))
        self._admin = AdminClient({"bootstrap.servers": bootstrap})

    def send(self, command: Command) -> None:
        record = outgoing(command, at=float(command.issued_at), source="checkout_api")
        self._producer.produce(record.topic, record.value, record.key, headers=list(record.headers))
        assert self._producer.flush(30) == 0

    def registration(self, order_id: str) -> RegisterPayment:
        """The first registration of the order, as the API wrote it."""
        found = next(decode(record_of(each)) for each in self._shop.records(COMMANDS, order_id))
        assert isinstance(found, RegisterPayment)
        return found

    def said(self, order_id: str) -> list[str]:
        return [type_of(message).split(".")[1] for message in self._shop.records(TOKENS, order_id)]

    def reset(self) -> None:
        """Let the worker's group, which must be empty, begin anew."""
        wanted = [TopicPartition(COMMANDS, number, 0) for number in range(topics()[COMMANDS].partitions)]
        request = [ConsumerGroupTopicPartitions(GROUP, wanted)]
        self._admin.alter_consumer_group_offsets(request)[GROUP].result(30)

    def finished(self) -> int:
        """How many commands the worker's group has finished."""
        request = [ConsumerGroupTopicPartitions(GROUP)]
        answer = self._admin.list_consumer_group_offsets(request)[GROUP].result(30)
        return sum(max(each.offset, 0) for each in answer.topic_partitions)

    def unread(self) -> int:
        """How many commands it has still to finish."""
        return self._shop.log_size([COMMANDS]) - self.finished()


def record_of(message: Message) -> Record:
    place = (message.topic(), message.partition(), message.offset())
    return Record(*place, message.key(), message.value(), tuple(message.headers() or ()))


@pytest.fixture
def log(shop: Shop) -> Log:
    return Log(shop)


@contextmanager
def without(shop: Shop, process: str) -> Iterator[None]:
    """Do something while a process is down."""
    shop.world.supervisor.hold(process)
    try:
        yield
    finally:
        shop.world.supervisor.resume(process)
        shop.world.supervisor.wait_ready(process)


def counted(shop: Shop) -> dict[str, Any]:
    stats = shop.control("GET", "/stats")
    return {name: stats[name] for name in COUNTED}


def test_offsets_of_the_worker_reset_to_the_beginning_change_nothing_at_the_psp(shop: Shop, log: Log) -> None:
    orders = [shop.registered() for _ in range(6)]
    for paid in orders[:2]:
        shop.pay(paid)
        shop.wait_for_status(paid["id"], "paid")
    assert shop.command(orders[0]["id"], "refunds", {"refund_reference": "R-1", "amount": 100}).status_code == 202
    shop.wait_for_status(orders[0]["id"], "partially_refunded")
    assert shop.command(orders[2]["id"], "cancel", wait=20).status_code == 200
    eventually(lambda: log.unread() == 0, "all is finished")
    before = counted(shop)
    said = {order["id"]: len(log.said(order["id"])) for order in orders}

    with without(shop, GROUP):
        eventually(lambda: _is_reset(log), "the group is empty")
        assert log.finished() == 0
    eventually(lambda: log.unread() == 0, "all is finished again")

    assert counted(shop) == before
    for order_id, times in said.items():
        assert len(log.said(order_id)) > times, "the ledger repeats what it knows"
        assert len(set(log.said(order_id))) <= times
    statuses = [shop.order(order["id"])["status"] for order in orders]
    assert statuses == ["partially_refunded", "paid", "cancelled", "registered", "registered", "registered"]


def _is_reset(log: Log) -> bool:
    try:
        log.reset()
    except KafkaException as error:
        if error.args[0].code() in _STILL_THERE:
            return False
        raise
    return True


def test_two_attempts_commanded_while_the_fold_is_stopped_never_leave_two_payable_sessions(
    shop: Shop, log: Log
) -> None:
    order_id = shop.registered()["id"]
    first = log.registration(order_id)
    most_open: list[int] = []

    with without(shop, "status_processor"):
        for attempt in (2, 3, 2, 3):
            log.send(replace(first, attempt=attempt))

        def third_is_told() -> bool:
            most_open.append(shop.open_sessions_of(order_id))
            return log.said(order_id).count("TokenIssued") >= 5

        eventually(third_is_told, "both attempts and their repetitions are answered")

    row = eventually(lambda: found if (found := shop.row(order_id)).get("attempt") == 3 else None, "folded")
    assert max(most_open) <= 1
    assert (shop.open_sessions_of(order_id), shop.sessions_of(order_id)) == (1, 3)
    assert row["payment_order_status"] == "registered"
    shop.pay(shop.order(order_id))
    shop.wait_for_status(order_id, "paid")


def test_a_cancellation_before_its_registration_leaves_nothing_payable_whichever_is_replayed(
    shop: Shop, log: Log
) -> None:
    body = shop.body()
    order_id = order_id_of(shop.addresses.client_id, body["reference"])
    cancellation = CancelPayment(order_id, 1, issued_at=int(log.registration(shop.registered()["id"]).issued_at))
    log.send(cancellation)
    eventually(lambda: log.said(order_id), "the cancellation is answered")

    assert shop.post(body).status_code == 202
    eventually(lambda: len(log.said(order_id)) == 2, "the registration is answered")
    registration = next(
        each
        for each in map(decode, map(record_of, shop.records(COMMANDS, order_id)))
        if isinstance(each, RegisterPayment)
    )
    for command in (registration, cancellation, registration):
        log.send(command)
    eventually(lambda: len(log.said(order_id)) == 5, "so is each repetition")

    assert set(log.said(order_id)) == {"AttemptCancelled"}
    assert (shop.open_sessions_of(order_id), shop.sessions_of(order_id)) == (0, 0)
    assert shop.wait_for_status(order_id, "cancelled")["hosted_page_url"] is None


def test_a_registered_order_pays_once_although_its_command_comes_ten_times(shop: Shop, log: Log) -> None:
    order = shop.registered()
    command = log.registration(order["id"])
    for _ in range(10):
        log.send(command)
    shop.pay(order)

    paid = shop.wait_for_status(order["id"], "paid")
    eventually(lambda: log.unread() == 0, "all are finished")

    assert (paid["amount_paid"], shop.sessions_of(order["id"])) == (order["amount"], 1)
    assert shop.row(order["id"])["psp_token"] == session_id(order)
