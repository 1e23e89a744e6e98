"""The whole document: one channel per topic, one operation per process and topic that it writes or reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from payonce.asyncapi.contract import Contract, Json
from payonce.asyncapi.messages import (
    DEAD_LETTER,
    OPS_ACTION,
    dead_letter_message,
    is_dead_letter_topic,
    message,
    ops_action_message,
)
from payonce.catalog import Topic

_DESCRIPTION = """The topics over which payonce's processes meet, and `payments.status`, the one that is public.

Every message is a CloudEvent 1.0 in Kafka's binary mode. Delivery is at least once; `ce_id` is the same in every
repetition. Records of one order have one key and so one partition. All topics but `payments.status` hold personal data
or payment links: their access lists name the processes shown here and nobody else.
"""
_PROCESSES = {
    "checkout_api": "takes orders and webhooks",
    "psp_worker": "carries commands out at the PSP",
    "status_processor": "folds everything into the order's row and announces each change",
    "reconciler": "asks the PSP for what never arrived",
    "ops_console": "sends dead letters again, amends, discards",
    "analytics": "any reader of the public topic: client apps, reports",
    "audit": "any reader that holds the operators' deeds against the database",
}
_BINDING_VERSION = "0.5.0"


def asyncapi_document(contract: Contract) -> Json:
    """Return the AsyncAPI 3.0 document of the contract. Pure: equal contracts give equal documents."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:payonce:topics",
        "info": {
            "title": "payonce topics",
            "version": contract.release,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": name, "description": what} for name, what in _PROCESSES.items()],
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": _server()},
        "channels": {topic.name: _channel(topic, contract) for topic in contract.topics},
        "operations": dict(_operations(contract)),
        "components": {"messages": dict(_messages(contract))},
    }


def _server() -> Json:
    """Return where Kafka is: a variable, for the address is each installation's own."""
    return {
        "host": "{bootstrap_servers}",
        "protocol": "kafka",
        "variables": {"bootstrap_servers": {"default": "127.0.0.1:9092", "description": "host:port, comma separated"}},
    }


def _channel(topic: Topic, contract: Contract) -> Json:
    configuration = {
        "cleanup.policy": ["delete"],
        "retention.ms": topic.retention_ms,
        "max.message.bytes": topic.max_message_bytes,
    }
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _ids(topic, contract, "receive")},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": _BINDING_VERSION,
            }
        },
    }


def _operations(contract: Contract) -> Iterator[tuple[str, Json]]:
    for topic in contract.topics:
        for process in topic.writers:
            yield _operation(process, "send", topic, contract)
        for process in topic.readers:
            yield _operation(process, "receive", topic, contract)


def _operation(process: str, action: Literal["send", "receive"], topic: Topic, contract: Contract) -> tuple[str, Json]:
    channel = f"#/channels/{topic.name}"
    verb = "writes to" if action == "send" else "reads"
    return f"{process}.{action}.{topic.name}", {
        "action": action,
        "channel": {"$ref": channel},
        "title": f"{process} {verb} {topic.name}",
        "tags": [{"name": process}],
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _ids(topic, contract, action)],
    }


def _messages(contract: Contract) -> Iterator[tuple[str, Json]]:
    yield DEAD_LETTER, dead_letter_message()
    for topic in contract.topics:
        for described in contract.carried_by(topic):
            yield described.id, message(described, topic)
        if not topic.messages and not is_dead_letter_topic(topic):
            yield OPS_ACTION, ops_action_message(topic)


def _ids(topic: Topic, contract: Contract, action: Literal["send", "receive"]) -> tuple[str, ...]:
    """Return which messages of the topic an operation is about: all versions are read, the newest are written."""
    if is_dead_letter_topic(topic):
        return (DEAD_LETTER,)
    if not topic.messages:
        return (OPS_ACTION,)
    described = contract.written_to(topic) if action == "send" else contract.carried_by(topic)
    return tuple(each.id for each in described)
