"""The committed contract under `schemas/` and the code agree, today and for every version still inside retention."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from payonce import catalog
from payonce.codec import Undecodable, decode, decode_body, encode_body
from payonce.ports import Record

EXAMPLES = sorted((catalog.SCHEMAS / "examples").glob("*/*.json"))
OURS = [path for path in EXAMPLES if not path.parent.name.startswith("PspEvent")]
ROOT = catalog.SCHEMAS.parent
PROCESSES = ("checkout_api", "psp_worker", "status_processor", "reconciler", "ops_console", "analytics", "audit")


def version_of(path: Path) -> tuple[str, int]:
    name, _, version = path.parent.name.partition(".v")
    return name, int(version)


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_example_of_any_version_decodes_and_the_newest_encodes_to_the_same_bytes(path: Path) -> None:
    name, version = version_of(path)
    body = path.read_bytes().removesuffix(b"\n")

    message = decode_body(name, body, version)

    if version == catalog.current_version(name):
        assert body == encode_body(message)


@pytest.mark.parametrize("path", [p for p in EXAMPLES if p not in OURS], ids=lambda path: path.stem)
def test_a_webhook_example_decodes_from_its_raw_bytes(path: Path) -> None:
    record = Record("payments.webhooks", 0, 0, b"k", path.read_bytes(), (("ce_type", b"com.stripe.x"),))

    assert decode(record).event_id.startswith("evt_")  # type: ignore[union-attr]


def test_every_schema_version_has_an_example_and_every_example_a_schema() -> None:
    """A version without an example could not be held against the schemas that come after it."""
    assert {version_of(path) for path in EXAMPLES} == set(catalog.schema_files())


@pytest.mark.parametrize(("name", "version"), sorted(catalog.schema_files()))
def test_a_newer_schema_still_accepts_the_examples_of_the_versions_before(name: str, version: int) -> None:
    earlier = [p for p in EXAMPLES if version_of(p)[0] == name and version_of(p)[1] < version]

    for path in earlier:
        decode_body(name, path.read_bytes(), version)


def test_every_message_of_a_topic_has_a_schema_and_every_schema_a_topic() -> None:
    carried = {message for topic in catalog.topics().values() for message in topic.messages}

    assert carried == {name for name, _ in catalog.schema_files()}


def test_topics_name_only_processes_that_exist_in_the_design() -> None:
    for topic in catalog.topics().values():
        assert set(topic.writers) | set(topic.readers) <= set(PROCESSES), topic.name


def test_a_dead_letter_topic_stands_beside_each_topic_that_workers_read() -> None:
    readers_fail = ("payments.commands", "payments.tokens", "payments.webhooks")

    assert all(f"{name}.dlt" in catalog.topics() for name in readers_fail)


def test_the_code_names_no_topic_but_through_the_catalogue() -> None:
    """Who publishes where follows from the message's type and topics.toml alone, so a stray name is a hole."""
    strays = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in sorted([*ROOT.glob("payonce/**/*.py"), *ROOT.glob("services/**/*.py")])
        for match in re.finditer(r"\"payments\.[a-z.]+\"", path.read_text())
    ]

    assert strays == []


@pytest.mark.parametrize(
    ("value", "kind", "reason"),
    [
        (b"\x00\xff", b"payonce.TokenIssued.v1", "not_json"),
        (None, b"payonce.TokenIssued.v1", "not_json"),
        (b"{}", b"payonce.TokenIssued.v1", "wrong_shape"),
        (b"[1]", b"payonce.TokenIssued.v1", "wrong_shape"),
        (b"{}", b"payonce.TokenLost.v1", "unknown_type"),
        (b"{}", b"payonce.TokenIssued.v99", "unknown_version"),
        (b"{}", b"payonce.TokenIssued.vx", "unknown_version"),
        (b"{}", None, "missing_type"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(value: bytes | None, kind: bytes | None, reason: str) -> None:
    headers = (("ce_type", kind),) if kind else ()

    with pytest.raises(Undecodable) as caught:
        decode(Record("payments.tokens", 0, 0, b"k", value, headers))

    assert reason == caught.value.reason


def test_a_message_under_another_orders_key_is_refused() -> None:
    body = next(p for p in OURS if version_of(p)[0] == "TokenIssued").read_bytes()

    with pytest.raises(Undecodable) as caught:
        decode(Record("payments.tokens", 0, 0, b"ord_other", body, (("ce_type", b"payonce.TokenIssued.v1"),)))

    assert caught.value.reason == "key_mismatch"


def test_a_message_on_a_topic_that_does_not_carry_it_is_refused() -> None:
    body = next(p for p in OURS if version_of(p)[0] == "TokenIssued").read_bytes()

    with pytest.raises(Undecodable) as caught:
        decode(Record("payments.commands", 0, 0, b"k", body, (("ce_type", b"payonce.TokenIssued.v1"),)))

    assert caught.value.reason == "unknown_type"
