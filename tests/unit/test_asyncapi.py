"""The AsyncAPI document is valid by AsyncAPI's own schema, and true: what the code sends fits what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from payonce import catalog
from payonce.asyncapi import asyncapi_document, read_contract
from payonce.audit import audit_record, chained
from payonce.cli import app
from payonce.codec import decode_body, outgoing, webhook_record
from payonce.dead_letters import REASONS, dead_letter
from payonce.ports import OutgoingRecord, Record
from payonce.ports.ops import Action
from tests.fakes.checkout_api import World

CONTRACT = read_contract()
DOCUMENT = asyncapi_document(CONTRACT)
SPECIFICATION = json.loads((Path(__file__).parent / "asyncapi-3.0.0.schema.json").read_bytes())
#: The words whose meaning is one in JSON Schema 2020-12, our schemas' dialect, and draft 7, the document's.
SHARED_WORDS = {
    *("$schema", "title", "description", "type", "enum", "const", "properties", "required", "items", "uniqueItems"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "additionalProperties"),
}


def validator(schema: Mapping[str, Any]) -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(dict(schema), validate_formats=True)


def message(name: str) -> dict[str, Any]:
    described: dict[str, Any] = DOCUMENT["components"]["messages"][name]
    return described


def headers_of(record: OutgoingRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


def test_the_document_is_valid_by_asyncapis_own_schema() -> None:
    validator(SPECIFICATION).validate(DOCUMENT)


def test_that_schema_would_notice() -> None:
    """It refuses a document with a word it does not know, so passing it says something."""
    wrong = {**DOCUMENT, "channels": {"x": {"adress": "payments.status"}}}

    with pytest.raises(jsonschema_rs.ValidationError):
        validator(SPECIFICATION).validate(wrong)


def test_every_reference_leads_somewhere() -> None:
    for path in references(DOCUMENT):
        found: Any = DOCUMENT
        for part in path.removeprefix("#/").split("/"):
            found = found[part]
        assert found, path


def test_it_has_every_topic_every_schema_version_and_every_reader_and_writer() -> None:
    operations = {
        (operation["channel"]["$ref"].removeprefix("#/channels/"), operation["action"], operation["tags"][0]["name"])
        for operation in DOCUMENT["operations"].values()
    }

    assert set(DOCUMENT["channels"]) == set(catalog.topics())
    assert operations == {
        (topic.name, action, process)
        for topic in catalog.topics().values()
        for action, processes in (("send", topic.writers), ("receive", topic.readers))
        for process in processes
    }
    assert {f"{name}.v{version}" for name, version in catalog.schema_files()} < set(DOCUMENT["components"]["messages"])


def test_readers_know_all_versions_and_writers_write_the_newest() -> None:
    older = next(each for each in CONTRACT.messages if each.name == "TokenIssued")
    newer = replace(older, version=older.version + 1)
    document = asyncapi_document(replace(CONTRACT, messages=(*CONTRACT.messages, newer)))

    sent = named(document["operations"]["psp_worker.send.payments.tokens"])
    received = named(document["operations"]["status_processor.receive.payments.tokens"])

    assert newer.id in sent
    assert older.id not in sent
    assert {older.id, newer.id} <= received
    validator(SPECIFICATION).validate(document)


@pytest.mark.parametrize("described", CONTRACT.messages, ids=lambda each: each.id)
def test_a_payload_uses_only_words_that_both_dialects_read_alike(described: Any) -> None:
    assert words(described.schema) <= SHARED_WORDS


@pytest.mark.parametrize("described", CONTRACT.messages, ids=lambda each: each.id)
def test_an_example_fits_what_the_document_says_of_it(described: Any) -> None:
    shown = message(described.id)

    assert shown["examples"]
    for example in shown["examples"]:
        validator(shown["headers"]).validate(example["headers"])
        validator(shown["payload"]).validate(example["payload"])


@pytest.mark.parametrize("described", CONTRACT.messages, ids=lambda each: each.id)
def test_what_the_codec_sends_fits_what_the_document_says(described: Any) -> None:
    topic = catalog.topics()[catalog.topic_of(described.name)]
    trace = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)
    for _, body in described.examples:
        if described.name == "PspEvent":
            record = webhook_record(body, json.loads(body), key="k", received_at=1.5, headers=trace)
        else:
            said = decode_body(described.name, body, described.version)
            record = outgoing(said, at=1.5, source=topic.writers[-1], headers=trace)
        headers = headers_of(record)

        validator(message(described.id)["headers"]).validate(headers)
        assert set(headers) <= set(message(described.id)["headers"]["properties"]), "no header is left undescribed"


@pytest.mark.parametrize("reason", REASONS)
def test_a_dead_letter_has_the_headers_that_the_document_says(reason: Any) -> None:
    record = Record("payments.tokens", 3, 41, b"key", b"\x00raw", ())
    headers = headers_of(dead_letter(record, reason=reason, error="bad byte", group="g", at=0.0))

    validator(message("DeadLetter")["headers"]).validate(headers)
    declared = message("DeadLetter")["headers"]
    assert set(headers) == set(declared["required"]) == set(declared["properties"]) - {"dlt-cut"}


def test_a_dead_letter_that_was_cut_has_every_header_of_the_document() -> None:
    record = Record("payments.tokens", 3, 41, b"key", b"x" * 2_000_000, ())
    headers = headers_of(dead_letter(record, reason="not_json", error="bad byte", group="g", at=0.0))

    validator(message("DeadLetter")["headers"]).validate(headers)
    assert set(headers) == set(message("DeadLetter")["headers"]["properties"])


def test_an_entry_of_the_audit_chain_is_what_the_document_says() -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    action = Action(at=at, actor="olga", action="discard", subject="x/0/1", why="asked for", detail={"n": 1})
    record = audit_record(chained(action, None))
    body = json.loads(record.value or b"")

    validator(message("OpsAction")["payload"]).validate(body)
    validator(message("OpsAction")["headers"]).validate(headers_of(record))
    assert set(body) == set(message("OpsAction")["payload"]["properties"])


def test_the_command_prints_it() -> None:
    done = CliRunner().invoke(app, ["asyncapi"])

    assert done.exit_code == 0
    assert json.loads(done.stdout) == DOCUMENT


async def test_the_checkout_api_serves_it_next_to_its_openapi_document() -> None:
    answer = await World().get("/asyncapi.json", key=None)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT


def named(operation: Mapping[str, Any]) -> set[str]:
    return {str(each["$ref"]).rpartition("/")[2] for each in operation["messages"]}


def references(node: Any) -> set[str]:
    """Every `$ref` in the document."""
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def words(schema: Any) -> set[str]:
    """Every keyword of a schema and of those inside it; the names of properties are none."""
    if not isinstance(schema, dict):
        return set()
    inner = [*schema.get("properties", {}).values(), schema.get("items")]
    return set(schema).union(*map(words, inner))
