"""Messages to records and back: CloudEvents 1.0 in Kafka's binary mode, a canonical JSON body, JSON Schema at the door.

It refuses what does not fit the committed schema, and never guesses. A PSP's webhook is kept byte for byte: what we
know about it goes into headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec
import orjson

from payonce.catalog import current_version, heir_of, schema_files, topic_of
from payonce.domain.commands import (
    CancelPayment,
    CancelSubscription,
    Command,
    RefreshPayment,
    RefundPayment,
    RegisterPayment,
)
from payonce.domain.events import (
    AttemptCancelled,
    CommandRejected,
    OrderStatusChanged,
    PspEvent,
    PspSnapshot,
    RefundAccepted,
    RefundRejected,
    RegistrationFailed,
    RegistrationStuck,
    SubscriptionCancelAccepted,
    TokenEvent,
    TokenIssued,
)
from payonce.domain.terms import terms_document
from payonce.ports import Headers, OutgoingRecord, Record

OwnMessage = Command | TokenEvent | OrderStatusChanged
Message = OwnMessage | PspEvent

_TYPES: dict[str, type[OwnMessage]] = {
    kind.__name__: kind
    for kind in (
        RegisterPayment,
        CancelPayment,
        RefundPayment,
        CancelSubscription,
        RefreshPayment,
        TokenIssued,
        RegistrationFailed,
        RegistrationStuck,
        CommandRejected,
        AttemptCancelled,
        RefundAccepted,
        RefundRejected,
        SubscriptionCancelAccepted,
        PspSnapshot,
        OrderStatusChanged,
    )
}
#: How JSON writes it, and how it writes a backslash before "u0000".
_NUL = b"\\u0000"
_PUBLIC_FIELDS = tuple(field.name for field in fields(OrderStatusChanged))
_OWN_PREFIX = "payonce."
_PSP_PREFIX = "com.stripe."


class Undecodable(Exception):
    """The record is not a message of ours; `reason` is of the dead-letter vocabulary."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def outgoing(message: OwnMessage, *, at: float, source: str, headers: Headers = ()) -> OutgoingRecord:
    """Return the record that carries a message of ours; `at` is unix seconds, `source` the process that says it."""
    name = type(message).__name__
    message_id = message.command_id if isinstance(message, Command) else message.event_id
    cloud_event = _cloud_event(message_id, f"{_OWN_PREFIX}{name}.v{current_version(name)}", source, at)
    return OutgoingRecord(
        topic=topic_of(name), key=message.order_id.encode(), value=encode_body(message), headers=cloud_event + headers
    )


def webhook_record(
    body: bytes, event: Mapping[str, Any], *, key: str, received_at: float, headers: Headers = ()
) -> OutgoingRecord:
    """Return the record of a verified webhook: the PSP's bytes untouched, what we know of it as headers."""
    kind = str(event.get("type", ""))
    known = {
        "stripe-event-type": kind,
        "stripe-created": event.get("created"),
        "stripe-livemode": str(bool(event.get("livemode"))).lower(),
        "stripe-api-version": event.get("api_version"),
        "received-at": f"{received_at:.3f}",
    }
    cloud_event = _cloud_event(str(event.get("id", "")), _PSP_PREFIX + kind, "https://api.stripe.com", received_at)
    extra = tuple((name, str(value).encode()) for name, value in known.items() if value is not None)
    return OutgoingRecord(
        topic=topic_of("PspEvent"), key=key.encode(), value=body, headers=cloud_event + extra + headers
    )


def decode(record: Record) -> Message:
    """Return the message in a record. Raises Undecodable; never blocks."""
    kind = record.header("ce_type")
    if kind is None:
        raise Undecodable("missing_type", "the record has no ce_type header")
    topic = heir_of(record.topic)  # what waits for its order may wait longer than its topic is read
    if topic == topic_of("PspEvent"):
        return _psp_event(_json(record.value))
    name, _, version = kind.removeprefix(_OWN_PREFIX).partition(".v")
    message = _own(name, version, record.value)
    if topic_of(name) != topic:
        raise Undecodable("unknown_type", f"{name} does not belong on {record.topic}")
    if record.key != message.order_id.encode():
        raise Undecodable("key_mismatch", f"the key is not the order id {message.order_id}")
    return message


def encode_body(message: OwnMessage) -> bytes:
    """Return the canonical JSON of a message: sorted keys, no blanks. Equal messages are equal bytes."""
    return msgspec.json.encode(_document(message), order="sorted")


def _document(message: OwnMessage) -> object:
    """Return what is encoded: terms have a form of their own, which is also what is hashed and stored.

    The public event leaves out what is not there, so that an order without it is told as it always was.
    """
    if isinstance(message, RegisterPayment):
        return {**msgspec.to_builtins(message), "terms": terms_document(message.terms)}
    if isinstance(message, OrderStatusChanged):
        return {name: value for name in _PUBLIC_FIELDS if (value := getattr(message, name)) is not None}
    return message


def decode_body(name: str, body: bytes, version: int | None = None) -> OwnMessage:
    """Return the message of that name from its JSON body. Raises Undecodable."""
    return _own(name, str(version or current_version(name)), body)


def _own(name: str, version: str, body: bytes | None) -> OwnMessage:
    if name not in _TYPES:
        raise Undecodable("unknown_type", f"no message is called {name!r}")
    if not version.isdecimal() or (name, int(version)) not in schema_files():
        raise Undecodable("unknown_version", f"{name} has no version {version!r}")
    document = _json(body)
    _check(name, int(version), document)
    if body is not None and _NUL in body and _holds_nul(document):
        raise Undecodable("wrong_shape", f"{name} v{version}: a text holds NUL, which no table can store")
    try:
        return msgspec.convert(document, type=_TYPES[name])
    except msgspec.ValidationError as error:
        raise Undecodable("wrong_shape", f"{name}: {error}") from error


def _psp_event(document: Any) -> PspEvent:
    _check("PspEvent", 1, document)
    return PspEvent(
        event_id=document["id"],
        type=document["type"],
        created=document["created"],
        livemode=document["livemode"],
        api_version=document.get("api_version"),
        object=document["data"]["object"],
    )


def _json(body: bytes | None) -> Any:
    if body is None:
        raise Undecodable("not_json", "the record has no value")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Undecodable("not_json", str(error)) from error


def _check(name: str, version: int, document: Any) -> None:
    try:
        _validator(name, version).validate(document)
    except jsonschema_rs.ValidationError as error:
        where = "/".join(str(part) for part in error.instance_path) or "the body"
        raise Undecodable("wrong_shape", f"{name} v{version}: {where}: {error.message[:300]}") from error
    except ValueError as error:  # the validator gives up on what is nested deeper than anything of ours or the PSP's
        raise Undecodable("wrong_shape", f"{name} v{version}: {error}") from error


def _holds_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(_holds_nul(name) or _holds_nul(each) for name, each in value.items())
        case list():
            return any(_holds_nul(each) for each in value)
    return False


@cache
def _validator(name: str, version: int) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(orjson.loads(schema_files()[name, version].read_bytes()))


def _cloud_event(message_id: str, kind: str, source: str, at: float) -> Headers:
    time = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (
        ("ce_id", message_id.encode()),
        ("ce_type", kind.encode()),
        ("ce_source", source.encode()),
        ("ce_time", time.encode()),
        ("ce_specversion", b"1.0"),
        ("content-type", b"application/json"),
    )
