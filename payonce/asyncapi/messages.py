"""The messages of the document: headers, payload, key and examples of each."""

from __future__ import annotations

from typing import Any

import orjson

from payonce.asyncapi.contract import Json, MessageVersion
from payonce.asyncapi.headers import letter_headers, own_headers, plain_headers, webhook_headers
from payonce.catalog import Topic
from payonce.codec import decode_body, outgoing, webhook_record
from payonce.dead_letters import SUFFIX
from payonce.ports import OutgoingRecord

#: The two messages that have no schema of their own under `schemas/`.
DEAD_LETTER, OPS_ACTION = "DeadLetter", "OpsAction"
_JSON = "application/json"
_WEBHOOK = "PspEvent"
#: A date for what has none: examples are the same in every document.
_EXAMPLE_AT = 1_795_000_123.0
#: Who says a message where that is not the first of its topic's writers.
_SPEAKERS = {"RefreshPayment": "reconciler"}
_HASH: Json = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_OPS_ACTION: Json = {
    "sequence": {"type": "integer", "minimum": 1, "description": "without gaps; a repeated one is the same entry"},
    "at": {"type": "string", "format": "date-time"},
    "actor": {"type": "string", "description": "the operator's id, or the process that acted by itself"},
    "action": {"type": "string"},
    "subject": {"type": "string", "description": "what it was done to"},
    "why": {"type": ["string", "null"]},
    "before_hash": {"type": ["string", "null"]},
    "after_hash": {"type": ["string", "null"]},
    "detail": {"type": "object"},
    "prev_hash": {**_HASH, "description": "the hash of the entry before; zeros at the first"},
    "hash": {**_HASH, "description": "SHA-256 of this entry without this field, as JSON with sorted keys"},
}


def message(described: MessageVersion, topic: Topic) -> Json:
    """Return a message of `schemas/` as its topic carries it."""
    headers = (
        webhook_headers()
        if described.name == _WEBHOOK
        else own_headers(described.id, topic.writers, may_be_replayed=is_replayable(topic))
    )
    return {
        "name": described.id,
        "title": described.name,
        "summary": described.schema["description"],
        "contentType": _JSON,
        "headers": headers,
        "payload": payload(described.schema),
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}}},
        "examples": [_example(described, topic, name, body) for name, body in described.examples],
    }


def payload(schema: Json) -> Json:
    """Return a committed schema in AsyncAPI's own dialect; they use only what both read alike."""
    return {name: value for name, value in schema.items() if name != "$schema"}


def dead_letter_message() -> Json:
    """Return what every dead-letter topic carries: any record at all, with the reason why it lies there."""
    return {
        "name": DEAD_LETTER,
        "title": "Dead letter",
        "summary": "A record set aside: bytes, key and headers of the original, and headers that say why.",
        "contentType": "application/octet-stream",
        "headers": letter_headers(),
        "payload": {"description": "the original's bytes, whatever they are"},
        "bindings": {"kafka": {"key": {"description": "as the original"}}},
    }


def ops_action_message(topic: Topic) -> Json:
    """Return the entries of the audit chain."""
    return {
        "name": OPS_ACTION,
        "title": "Entry of the audit chain",
        "summary": "Who did what, when and why. Each entry carries the hash of the one before.",
        "contentType": _JSON,
        "headers": plain_headers(),
        "payload": {"type": "object", "properties": _OPS_ACTION, "required": list(_OPS_ACTION)},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}}},
    }


def is_dead_letter_topic(topic: Topic) -> bool:
    """Return whether records are set aside on it."""
    return topic.name.endswith(SUFFIX)


def is_replayable(topic: Topic) -> bool:
    """Return whether ops_console may send a dead letter to it again."""
    return "ops_console" in topic.writers


def _example(described: MessageVersion, topic: Topic, name: str, body: bytes) -> Json:
    record = _record(described, topic, body)
    headers = {header: value.decode() for header, value in record.headers}
    if described.name != _WEBHOOK:
        headers["ce_type"] = f"payonce.{described.id}"
    return {"name": name, "headers": headers, "payload": orjson.loads(body)}


def _record(described: MessageVersion, topic: Topic, body: bytes) -> OutgoingRecord:
    """Return the record that the example would travel in: the codec says which headers it has."""
    if described.name == _WEBHOOK:
        event: dict[str, Any] = orjson.loads(body)
        return webhook_record(body, event, key="", received_at=_EXAMPLE_AT)
    said = decode_body(described.name, body)  # the newest schema takes the examples of all before it
    return outgoing(said, at=_EXAMPLE_AT, source=_SPEAKERS.get(described.name, topic.writers[0]))
