"""The kinds of garbage that can lie in a topic, each with the reason that its readers must find."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from payonce.catalog import topics
from tests.fakes.garbage_pieces import FOREIGN, UNRESOLVED, Headers, Kind, Maker, Object

#: Close to what a topic takes at most, headers and framing included.
HUGE_BYTES: Final = 1_040_000
_NESTED_DEEPER_THAN_ANY_PARSER: Final = 200_000

# ------------------------------------------------------------------------------- in every topic


def _random_bytes(maker: Maker) -> tuple[bytes, Headers, str]:
    return b"\x00" + maker.dice.randbytes(maker.dice.randrange(2_000)), maker.typed(maker.good_type()), "not_json"


def _cut_off(maker: Maker) -> tuple[bytes, Headers, str]:
    whole = json.dumps(maker.own()[1]).encode()
    return whole[: maker.dice.randrange(1, len(whole))], maker.typed(maker.good_type()), "not_json"


def _nothing(maker: Maker) -> tuple[bytes | None, Headers, str]:
    return maker.dice.choice([None, b"", b" "]), maker.typed(maker.good_type()), "not_json"


def _too_deep(maker: Maker) -> tuple[bytes, Headers, str]:
    return b"[" * _NESTED_DEEPER_THAN_ANY_PARSER, maker.typed(maker.good_type()), "not_json"


def _half_a_surrogate(maker: Maker) -> tuple[bytes, Headers, str]:
    return b'{"order_id": "\\ud800"}', maker.typed(maker.good_type()), "not_json"


def _other_json(maker: Maker) -> tuple[bytes, Headers, str]:
    documents: list[Any] = [[], {}, 0, None, True, "text", {"order_id": 7}, [[[]]], 1e300, {"data": {"object": []}}]
    return json.dumps(maker.dice.choice(documents)).encode(), maker.typed(maker.good_type()), "wrong_shape"


def _deep(maker: Maker) -> tuple[bytes, Headers, str]:
    return b"[" * 900 + b"]" * 900, maker.typed(maker.good_type()), "wrong_shape"


def _huge_noise(maker: Maker) -> tuple[bytes, Headers, str]:
    return b"\x00" + maker.dice.randbytes(HUGE_BYTES), maker.typed(maker.good_type()), "not_json"


def _huge_json(maker: Maker) -> tuple[bytes, Headers, str]:
    return json.dumps(["x" * HUGE_BYTES]).encode(), maker.typed(maker.good_type()), "wrong_shape"


def _untyped(maker: Maker) -> tuple[bytes, Headers, str]:
    headers = maker.dice.choice([(), (("content-type", b"text/html"),), tuple((f"h{n}", b"x" * 50) for n in range(99))])
    return json.dumps(maker.own()[1]).encode(), headers, "missing_type"


ANYWHERE: Final = (
    Kind(200, _random_bytes),
    Kind(50, _cut_off),
    Kind(20, _nothing),
    Kind(0, _too_deep),
    Kind(20, _half_a_surrogate),
    Kind(200, _other_json),
    Kind(5, _deep),
    Kind(0, _huge_noise),
    Kind(0, _huge_json),
    Kind(100, _untyped),
)


# --------------------------------------------------------- where messages of our own are carried


def _field_of_another_kind(maker: Maker) -> tuple[bytes, Headers, str]:
    name, body = maker.own()
    body["order_id"] = maker.dice.choice([None, 7, "", "ord_short", "x" * 10_000, {"not": ["what", "it", "was"]}])
    return json.dumps(body).encode(), maker.typed(f"payonce.{name}.v1"), "wrong_shape"


def _another_version(maker: Maker) -> tuple[bytes, Headers, str]:
    name, body = maker.own()
    version = maker.dice.choice([".v2", ".v99", ".v0", ".v-1", ".v1.v1", ".vx", ".v", ""])
    return json.dumps(body).encode(), maker.typed(f"payonce.{name}{version}"), "unknown_version"


def _another_type(maker: Maker) -> tuple[bytes, Headers, str]:
    kind = maker.dice.choice(["payonce.Nonsense.v1", "com.example.thing", "", "RegisterPayment\x00.v1", "\U0001f4b6"])
    return json.dumps(maker.own()[1]).encode(), maker.typed(kind), "unknown_type"


def _of_another_topic(maker: Maker) -> tuple[bytes, Headers, str]:
    others = {name for topic in topics().values() if topic.name != maker.topic for name in topic.messages}
    name, body = maker.example(sorted(others - {"PspEvent"}))
    return json.dumps(body).encode(), maker.typed(f"payonce.{name}.v1"), "unknown_type"


def _event_astray(maker: Maker) -> tuple[bytes, Headers, str]:
    return *maker.event("checkout.session.completed", {"id": "cs_astray", "metadata": {}}), "unknown_type"


def _of_another_order(maker: Maker) -> tuple[bytes, Headers, str]:
    name, body = maker.own()
    return json.dumps(body).encode(), maker.typed(f"payonce.{name}.v1"), "key_mismatch"


AMONG_MESSAGES: Final = (
    Kind(150, _field_of_another_kind),
    Kind(80, _another_version),
    Kind(80, _another_type),
    Kind(50, _of_another_topic),
    Kind(20, _event_astray),
    Kind(50, _of_another_order),
)


# ---------------------------------------------------------------------- where webhooks are carried


def _of_the_other_mode(maker: Maker) -> tuple[bytes, Headers, str]:
    return *maker.event("payment_intent.succeeded", {"id": maker.unique("pi")}, livemode=True), "mode_mismatch"


def _impossible(maker: Maker) -> tuple[bytes, Headers, str]:
    session = {
        "id": maker.unique("cs"),
        "object": "checkout.session",
        "status": "complete",
        "payment_status": "paid",
        "amount_total": 4_990,
        "currency": "eur",
        "metadata": {},
    }
    wrong: dict[str, Any] = maker.dice.choice(
        [
            {"amount_total": -1},
            {"amount_total": 10**19},
            {"amount_total": "4990"},
            {"currency": "euro"},
            {"payment_status": "perhaps"},
            {"id": None},
            {"id": "cs_\u0000"},
            {"object": "refund"},
            {"metadata": []},
        ]
    )
    return *maker.event("checkout.session.completed", {**session, **wrong}), "impossible_event"


def _too_much_for_the_database(maker: Maker) -> tuple[bytes, Headers, str]:
    """It fits the schema and says nothing impossible, but no column can hold it."""
    charge: Object = {
        "id": maker.unique("ch"),
        "object": "charge",
        "payment_intent": maker.unique("pi"),
        "metadata": {},
    }
    order = {"order_id": f"ord_{'2' * 25}{maker.dice.choice('abcdefgh')}", "attempt": "1"}
    marked: Object = {"id": maker.unique("cs"), "object": "checkout.session", "status": "expired", "metadata": order}
    marked["payment_status"] = "unpaid"
    kind, thing, changes = maker.dice.choice(_variants(charge, marked, maker))
    return *maker.event(kind, thing, **changes), "rejected_by_database"


def _variants(charge: Object, marked: Object, maker: Maker) -> list[tuple[str, Object, Object]]:
    return [
        ("charge.updated", charge, {"id": f"evt_\u0000{maker.unique('')}"}),
        ("checkout.session.expired", marked, {"id": f"evt_\u0000{maker.unique('')}"}),
        ("checkout.session.expired", marked, {"created": 10**17}),
        ("checkout.session.expired", {**marked, "id": "cs_" + "".join(_noise(maker, 9_000))}, {}),
    ]


def _noise(maker: Maker, length: int) -> Iterator[str]:
    """Yield letters that no compression makes short enough for an index."""
    yield from maker.dice.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=length)


def _another_apps(maker: Maker) -> tuple[bytes, Headers, str]:
    metadata: Object = maker.dice.choice([{}, {"order_id": "4711"}, {"cart": "x"}])
    paid = {"status": "complete", "payment_status": "paid", "amount_total": 700, "currency": "eur"}
    session = {"object": "checkout.session", **paid}
    subscription = {"object": "subscription", "status": "active"}
    things: list[tuple[str, Object]] = [
        ("customer.created", {"id": maker.unique("cus"), "object": "customer"}),
        ("invoice.upcoming", {"object": "invoice", "customer": "cus_1"}),
        ("checkout.session.completed", {**session, "id": maker.unique("cs"), "metadata": metadata}),
        ("customer.subscription.updated", {**subscription, "id": maker.unique("sub"), "metadata": metadata}),
    ]
    kind, thing = maker.dice.choice(things)
    return *maker.event(kind, thing), FOREIGN


def _nobodys(maker: Maker) -> tuple[bytes, Headers, str]:
    """An object that may yet turn out to be an order's, and never does: the PSP does not know it either."""
    refund, intent = maker.unique("re"), maker.unique("pi")
    thing = {"id": refund, "object": "refund", "payment_intent": intent, "metadata": {}, "status": "succeeded"}
    return *maker.event("refund.created", {**thing, "amount": 700, "currency": "eur"}), UNRESOLVED


IN_WEBHOOKS: Final = (
    Kind(80, _of_the_other_mode),
    Kind(100, _impossible),
    Kind(20, _too_much_for_the_database),
    Kind(200, _another_apps),
    Kind(30, _nobodys),
)
