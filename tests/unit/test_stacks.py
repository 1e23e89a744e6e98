"""Which stack the tests run on."""

from __future__ import annotations

import importlib

import pytest

from tests.stacks import ChosenStack, chosen_stack, kafka_environment


def test_addresses_in_the_environment_are_used_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYONCE_TEST_BOOTSTRAP", "kafka:9092")
    monkeypatch.setenv("PAYONCE_TEST_DATABASE_URL", "postgresql+psycopg2://x@y/z")

    with chosen_stack() as stack:
        assert stack == ChosenStack("kafka:9092", "postgresql+psycopg2://x@y/z")


@pytest.mark.parametrize("module", ["testcontainers.community.postgres", "testcontainers.core.container"])
def test_what_the_docker_stack_is_made_of_can_be_imported(module: str) -> None:
    """Also where no engine is: a renamed class or a deprecation would be found only on somebody else's machine."""
    assert importlib.import_module(module)


def test_a_container_is_reached_under_the_port_it_advertises() -> None:
    settings = kafka_environment(20_123)

    assert settings["KAFKA_ADVERTISED_LISTENERS"].endswith(":20123")
    assert "PLAINTEXT://:20123" in settings["KAFKA_LISTENERS"]
