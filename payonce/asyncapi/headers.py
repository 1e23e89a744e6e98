"""The headers of a record as JSON Schemas: CloudEvents 1.0 in Kafka's binary mode, and what we add to it."""

from __future__ import annotations

from collections.abc import Sequence

from payonce.asyncapi.contract import Json
from payonce.dead_letters import REASONS

_TEXT: Json = {"type": "string"}
_TRACE: Json = {
    "traceparent": {"type": "string", "description": "W3C Trace Context of the request that began it"},
    "tracestate": {"type": "string", "description": "W3C Trace Context, as it came"},
}
_REPLAY: Json = {
    "replay-for": {
        "type": "string",
        "description": "a dead letter that is sent again to this consumer group; all others acknowledge it unread",
    },
    "dlt-origin": {"type": "string", "description": "of a dead letter that is sent again: topic/partition/offset"},
    "dlt-attempts": {"type": "string", "pattern": "^[0-9]{1,6}$", "description": "how often it has failed before"},
}
_STRIPE: Json = {
    "stripe-event-type": {"type": "string", "examples": ["checkout.session.completed"]},
    "stripe-created": {"type": "string", "pattern": "^[0-9]+$", "description": "unix seconds, of Stripe's clock"},
    "stripe-livemode": {"enum": ["true", "false"]},
    "stripe-api-version": _TEXT,
    "received-at": {"type": "string", "pattern": r"^[0-9]+\.[0-9]{3}$", "description": "unix seconds, of our clock"},
}
_LETTER: Json = {
    "dlt-reason": {"enum": list(REASONS)},
    "dlt-error": {"type": "string", "maxLength": 2000},
    "dlt-origin": {"type": "string", "description": "the first original: topic/partition/offset"},
    "dlt-group": {"type": "string", "description": "the consumer group that set it aside"},
    "dlt-attempts": {"type": "string", "pattern": "^[0-9]{1,6}$", "description": "how often it has failed"},
    "dlt-at": {"type": "string", "format": "date-time"},
}
_CUT: Json = {"dlt-cut": {"type": "string", "description": "only of one too large for its topic: its size, uncut"}}


def own_headers(message_id: str, writers: Sequence[str], *, may_be_replayed: bool) -> Json:
    """Return the schema of the headers around a message of ours; `message_id` is its name and version."""
    source = {"enum": list(writers), "description": "the process that says it"}
    event = _cloud_event({"const": f"payonce.{message_id}"}, source)
    return _headers(event, {**_TRACE, **(_REPLAY if may_be_replayed else {})})


def webhook_headers() -> Json:
    """Return the schema of the headers around Stripe's own event."""
    kind = {"type": "string", "pattern": r"^com\.stripe\.", "description": "com.stripe. and Stripe's event type"}
    event = _cloud_event(kind, {"const": "https://api.stripe.com"})
    known = {name: _STRIPE[name] for name in ("stripe-event-type", "stripe-livemode", "received-at")}
    rest = {name: schema for name, schema in _STRIPE.items() if name not in known}
    return _headers({**event, **known}, {**rest, **_TRACE, **_REPLAY})


def letter_headers() -> Json:
    """Return the schema of what a dead letter has beside the headers of its original."""
    return _headers(_LETTER, _CUT)


def plain_headers() -> Json:
    """Return the schema of a record's headers that say only what its body is."""
    return _headers({"content-type": {"const": "application/json"}}, {})


def _cloud_event(kind: Json, source: Json) -> Json:
    return {
        "ce_id": {"type": "string", "minLength": 1, "description": "the same in every repetition of the message"},
        "ce_type": kind,
        "ce_source": source,
        "ce_time": {
            "type": "string",
            "format": "date-time",
            "description": "when it came about or was said; UTC, milliseconds",
        },
        "ce_specversion": {"const": "1.0"},
        "content-type": {"const": "application/json"},
    }


def _headers(required: Json, optional: Json) -> Json:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}
