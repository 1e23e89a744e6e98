"""A detour lies between the processes of a world; whoever watches it keeps the true addresses."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from sandbox.stack.kafka_settings import Node, Outside, server_properties
from sandbox.world.credentials import Credentials
from sandbox.world.options import WorldOptions
from sandbox.world.plan import Plan, make_plan
from sandbox.world.ways import Ways

DATABASE_URL = "postgresql+psycopg2://payonce@127.0.0.1:25432/payonce"
THROUGH = {"postgres": 7_001, "stripe": 7_002, "webhooks": 7_003}


def planned(folder: Path, ways: Ways | None) -> Plan:
    ports = itertools.count(20_000)
    return make_plan(
        WorldOptions(),
        Credentials(),
        bootstrap="127.0.0.1:29092",
        database_url=DATABASE_URL,
        take_port=lambda: next(ports),
        folder=folder,
        ways=ways,
    )


def settings_of(plan: Plan, name: str) -> dict[str, str]:
    return dict(next(spec.env for spec in plan.specs if spec.name == name))


def test_without_a_detour_the_processes_are_given_the_true_addresses(tmp_path: Path) -> None:
    plan = planned(tmp_path, None)

    worker = settings_of(plan, "psp_worker")
    assert worker["PAYONCE_DATABASE_URL"] == plan.addresses.database_url == DATABASE_URL
    assert worker["PAYONCE_STRIPE_API_BASE"] == plan.addresses.simulator_url
    assert worker["PAYONCE_KAFKA_BOOTSTRAP_SERVERS"] == plan.addresses.kafka_bootstrap_servers
    simulator = settings_of(plan, "stripe_simulator")
    assert simulator["SIMULATOR_WEBHOOK_URL"] == f"{plan.addresses.api_url}/webhooks/stripe"


def test_with_a_detour_every_connection_between_processes_goes_through_it(tmp_path: Path) -> None:
    asked: dict[str, int] = {}

    def detour(name: str, port: int) -> int:
        asked[name] = port
        return THROUGH[name]

    plan = planned(tmp_path, Ways(detour, "127.0.0.1:7004"))

    worker = settings_of(plan, "psp_worker")
    assert worker["PAYONCE_DATABASE_URL"] == DATABASE_URL.replace("25432", "7001")
    assert worker["PAYONCE_STRIPE_API_BASE"] == "http://127.0.0.1:7002"
    assert worker["PAYONCE_KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:7004"
    assert settings_of(plan, "stripe_simulator")["SIMULATOR_WEBHOOK_URL"] == "http://127.0.0.1:7003/webhooks/stripe"
    assert asked["postgres"] == 25_432
    assert plan.addresses.database_url == DATABASE_URL
    assert plan.addresses.kafka_bootstrap_servers == "127.0.0.1:29092"
    assert plan.addresses.simulator_url == f"http://127.0.0.1:{asked['stripe']}"
    assert plan.addresses.api_url == f"http://127.0.0.1:{asked['webhooks']}"


@pytest.mark.parametrize(("brokers", "minimum"), [(1, 1), (3, 2)])
def test_one_of_three_brokers_may_be_away(brokers: int, minimum: int) -> None:
    assert WorldOptions(brokers=brokers).min_insync_replicas == minimum  # type: ignore[arg-type]


def test_a_broker_with_a_second_door_names_the_proxy_there_and_itself_at_the_first(tmp_path: Path) -> None:
    node = Node(1, 21_000, 21_001, Outside(21_002, 7_005))
    lines = dict(line.split("=", 1) for line in server_properties(node, (node,), tmp_path).splitlines())

    assert lines["listeners"] == ("PLAINTEXT://127.0.0.1:21000,OUTSIDE://127.0.0.1:21002,CONTROLLER://127.0.0.1:21001")
    assert lines["advertised.listeners"] == "PLAINTEXT://127.0.0.1:21000,OUTSIDE://127.0.0.1:7005"
    assert lines["inter.broker.listener.name"] == "PLAINTEXT"
