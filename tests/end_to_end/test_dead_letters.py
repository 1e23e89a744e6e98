"""Dead letters as ops meet them: real ones, through the command line, on the whole pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Producer
from sqlalchemy import create_engine, text

from payonce.adapters.kafka.producer import producer_config
from payonce.codec import outgoing
from payonce.domain.commands import RegisterPayment
from payonce.domain.terms import Terms, body_hash_of, order_id_of
from payonce.settings import CheckoutApiSettings
from tests.end_to_end.shop import Shop, body_of, eventually, type_of

pytestmark = pytest.mark.stack


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, (self.code, self.out, self.err)
        return json.loads(self.out)


class Ops:
    """Two people at their terminals, and whoever can write to Kafka and PostgreSQL behind their backs."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.addresses = shop.addresses
        self.engine = create_engine(self.addresses.database_url, pool_size=1)
        self._producer = Producer(producer_config(self.addresses.kafka_bootstrap_servers, "end-to-end-tests"))

    def run(self, *arguments: str, token: str | None = None, keys: str = "") -> Ran:
        """Run `payonce` as the operator (or whose token it is)."""
        env = {
            **os.environ,
            "PAYONCE_OPS_URL": self.addresses.ops_url,
            "PAYONCE_OPS_TOKEN": token or self.addresses.ops_token,
            "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": self.addresses.kafka_bootstrap_servers,
            "PAYONCE_DATABASE_URL": self.addresses.database_url,
            "COLUMNS": "200",
        }
        command = [sys.executable, "-m", "payonce", *arguments]
        done = subprocess.run(command, env=env, input=keys, capture_output=True, text=True, check=False, timeout=120)
        return Ran(done.returncode, done.stdout, done.stderr)

    def dlq(self, *arguments: str, token: str | None = None) -> Ran:
        return self.run("dlq", *arguments, token=token)

    def letters(self, *filters: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.dlq("list", "--json", *filters).json
        return found

    def letter(self, letter_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.dlq("show", letter_id, "--json").json
        return found

    def wait_for(self, *filters: str, count: int = 1) -> list[dict[str, Any]]:
        def check() -> list[dict[str, Any]] | None:
            found = self.letters(*filters)
            return found if len(found) >= count else None

        return eventually(check, f"{count} dead letters {filters}")

    def wait_for_state(self, letter_id: str, *states: str) -> dict[str, Any]:
        def check() -> dict[str, Any] | None:
            found = self.letter(letter_id)
            return found if found["state"] in states else None

        return eventually(check, f"{letter_id} is {states}")

    def send(self, topic: str, key: str, value: bytes, **headers: str) -> None:
        self._producer.produce(topic, value, key, headers=list(headers.items()))
        assert self._producer.flush(30) == 0

    def sql(self, statement: str, **parameters: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), parameters)


@pytest.fixture
def ops(shop: Shop) -> Iterator[Ops]:
    people = Ops(shop)
    yield people
    people.engine.dispose()


def refused_order(ops: Ops) -> tuple[str, dict[str, Any]]:
    """The id of an order that the PSP refuses (no mail address), and its dead letter."""
    posted = ops.shop.body()
    terms = Terms(
        client_id=ops.addresses.client_id, psp="stripe", customer_email="nobody", description="A cup", **posted
    )
    order_id, now = order_id_of(terms.client_id, terms.reference), int(time.time())
    link = f"{ops.addresses.api_url}/return/{order_id}?t=x"
    command = RegisterPayment(
        order_id=order_id,
        attempt=1,
        terms=terms,
        body_hash=body_hash_of(terms),
        issued_at=now,
        expires_at=now + 20 * 3600,
        success_url=link,
        cancel_url=f"{link}&via=cancel",
        api_version=CheckoutApiSettings().stripe_api_version,
    )
    record = outgoing(command, at=now, source="checkout_api")
    ops.send(record.topic, order_id, record.value or b"", **{name: value.decode() for name, value in record.headers})
    [letter] = ops.wait_for("--order", order_id)
    return order_id, letter


def mended(ops: Ops, letter_id: str) -> Ran:
    """The edit that makes the PSP accept it, and changes the amount as well."""
    fields = ("--set", "terms.customer_email=ann@example.com", "--set", "terms.amount=1000")
    return ops.dlq("edit", letter_id, *fields, "--why", "cents, not euros")


def commands_of(ops: Ops, order_id: str) -> list[dict[str, Any]]:
    found = ops.shop.records("payments.commands", order_id)
    return [body_of(message) for message in found if "RegisterPayment" in type_of(message)]


def test_garbage_is_listed_shown_and_discarded_with_a_reason(ops: Ops) -> None:
    ops.send("payments.commands", "garbage-1", b"\x00\xff no json", ce_type="payonce.RegisterPayment.v1")
    both = ops.wait_for("--order", "garbage-1", count=2)
    assert {letter["group"] for letter in both} == {"psp_worker", "status_processor"}
    assert {letter["reason"] for letter in both} == {"not_json"}

    shown = ops.dlq("show", both[0]["id"])
    assert (shown.code, "not_json" in shown.out, both[1]["id"] in shown.out) == (0, True, True)

    without = ops.dlq("discard", both[0]["id"])
    assert (without.code, ops.letter(both[0]["id"])["state"]) == (2, "open")
    assert ops.dlq("discard", both[0]["id"], "--why", "a load test").code == 0
    assert ops.letter(both[0]["id"])["actions"][-1]["why"] == "a load test"
    assert [letter["id"] for letter in ops.letters("--order", "garbage-1")] == [both[1]["id"]]


def test_a_refused_order_is_edited_approved_by_a_second_person_replayed_and_paid(ops: Ops) -> None:
    order_id, letter = refused_order(ops)
    letter_id = letter["id"]
    assert (letter["reason"], letter["group"]) == ("psp_refused", "psp_worker")
    eventually(lambda: any(line["type"] == "RegistrationFailed" for line in ops.letter(letter_id)["timeline"]), "told")

    wrong = ops.dlq("edit", letter_id, "--set", "terms.amount=lots", "--why", "typo")
    assert (wrong.code, "terms/amount" in wrong.err) == (1, True)
    edited = mended(ops, letter_id)
    assert (edited.code, "terms.amount" in edited.out, "another person" in edited.out) == (0, True, True)
    edit_hash = ops.letter(letter_id)["pending_edit"]["hash"]
    own = ops.dlq("approve", letter_id, "--hash", edit_hash, "--why", "me again")
    early = ops.dlq("replay", letter_id, "--why", "go", "--yes")
    assert (own.code, early.code) == (1, 1)
    assert (
        ops.dlq("approve", letter_id, "--hash", edit_hash, "--why", "ok", token=ops.addresses.approver_token).code == 0
    )

    preview = ops.dlq("replay", letter_id, "--why", "go", "--dry-run", "--json").json
    assert preview["by_how"] == {"new_attempt": 1}
    done = ops.dlq("replay", letter_id, "--why", "amount corrected", "--yes")

    assert (done.code, "1 sent" in done.out) == (0, True)
    first, second = commands_of(ops, order_id)
    assert (second["attempt"], second["terms"]["amount"]) == (2, 1000)
    assert second["amends"] is not None
    assert second["body_hash"] != first["body_hash"]
    row = eventually(lambda: found if (found := ops.shop.row(order_id))["psp_token"] else None, "registered")
    assert (row["payment_order_status"], row["amount"], row["attempt"]) == ("registered", 1000, 2)
    assert ops.wait_for_state(letter_id, "resolved")["resolution"] == "timeline"
    ops.shop.control("POST", f"/sessions/{row['psp_token']}/pay", {"method": "card"})
    eventually(lambda: ops.shop.row(order_id)["payment_order_status"] == "paid", "paid")


def test_replaying_twice_and_after_success_is_harmless(ops: Ops) -> None:
    """The ledger decides: the outcome is repeated, no call is made, nothing is payable twice."""
    order_id, letter = refused_order(ops)
    assert mended(ops, letter["id"]).code == 0
    edit_hash = ops.letter(letter["id"])["pending_edit"]["hash"]
    ops.dlq("approve", letter["id"], "--hash", edit_hash, "--why", "y", token=ops.addresses.approver_token)

    codes = [ops.dlq("replay", letter["id"], "--why", "go", "--yes").code for _ in range(3)]

    assert codes[0] == 0
    eventually(lambda: ops.shop.row(order_id)["psp_token"], "registered")
    assert ops.shop.sessions_of(order_id) == 1
    assert len({(body["attempt"], body["body_hash"]) for body in commands_of(ops, order_id)}) == 2


def test_what_cannot_be_read_comes_back_as_the_same_letter_with_a_counter(ops: Ops) -> None:
    ops.send("payments.tokens", "garbage-2", b"[]", ce_type="payonce.TokenIssued.v1")
    [letter] = ops.wait_for("--order", "garbage-2")

    assert ops.dlq("replay", letter["id"], "--why", "try", "--yes").code == 0

    again = eventually(lambda: found if (found := ops.letter(letter["id"]))["attempts"] == 2 else None, "came back")
    assert (again["state"], again["origin"]) == ("open", letter["origin"])
    assert len(ops.letters("--order", "garbage-2", "--all")) == 1


def test_letters_that_arrive_while_the_console_is_down_are_indexed_when_it_is_back(ops: Ops) -> None:
    supervisor = ops.shop.world.supervisor
    supervisor.hold("ops_console")
    try:
        for number in range(20):
            ops.send("payments.webhooks", f"down-{number}", b"{}", ce_type="com.stripe.charge.updated")
        assert ops.dlq("list").code == 1
    finally:
        supervisor.resume("ops_console")
        supervisor.wait_ready("ops_console")

    def all_there() -> bool:
        keys = {letter["order"] for letter in ops.letters("--topic", "payments.webhooks", "--limit", "500")}
        return {f"down-{number}" for number in range(20)} <= keys

    eventually(all_there, "all are indexed")


def test_many_are_replayed_by_filter_with_progress(ops: Ops) -> None:
    for number in range(5):
        ops.send("payments.webhooks", "many", b"{}", ce_type="com.stripe.charge.updated", n=str(number))
    ops.wait_for("--order", "many", count=5)

    preview = ops.dlq("replay", "--order", "many", "--why", "look", "--dry-run")
    status = ops.dlq("replay", "--order", "many", "--why", "all of them", "--yes", "--json").json

    assert "5 selected, 5 would be sent" in preview.out
    assert (status["state"], status["items"]) == ("finished", {"sent": 5})


def test_the_audit_chain_holds_and_a_changed_entry_is_found(ops: Ops) -> None:
    ops.send("payments.tokens", "garbage-3", b"no", ce_type="payonce.TokenIssued.v1")
    [letter] = ops.wait_for("--order", "garbage-3")
    assert ops.dlq("discard", letter["id"], "--why", "the truth").code == 0
    sequence = ops.letter(letter["id"])["actions"][-1]["sequence"]
    whole = eventually(_whole(ops, sequence), "anchored")
    assert whole.code == 0, whole.err

    ops.sql("UPDATE ops_action SET why = 'a lie' WHERE sequence = :sequence", sequence=sequence)
    try:
        broken = ops.run("verify", "audit")
    finally:
        ops.sql("UPDATE ops_action SET why = 'the truth' WHERE sequence = :sequence", sequence=sequence)

    assert (broken.code, f"entry {sequence}:" in broken.err) == (1, True)
    assert ops.run("verify", "audit").code == 0


def _whole(ops: Ops, sequence: int) -> Callable[[], Ran | None]:
    """Verified with the entry anchored on payments.ops; None while it is on its way."""

    def check() -> Ran | None:
        ran = ops.run("verify", "audit")
        return ran if ran.code != 0 or f", {sequence} of them" in ran.out else None

    return check
