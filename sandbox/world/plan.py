"""Which processes a world has, with which settings: decided before anything starts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.supervisor import ProcessSpec
from sandbox.world.addresses import Addresses
from sandbox.world.credentials import (
    CLIENT_ID,
    Credentials,
    write_clients_file,
    write_operators_file,
)
from sandbox.world.options import WorldOptions
from sandbox.world.processes import Instance, python_process, service_spec
from sandbox.world.ways import Paths, Ways

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run, in the order of starting, and where it will be."""

    addresses: Addresses
    specs: tuple[ProcessSpec, ...]


def make_plan(
    options: WorldOptions,
    credentials: Credentials,
    *,
    bootstrap: str,
    database_url: str,
    take_port: Callable[[], int],
    folder: Path,
    ways: Ways | None = None,
) -> Plan:
    """Return the plan of a world and write its clients file into `folder`."""
    instances = _instances(options, take_port)
    shop_port, own_shop_port, simulator_port = take_port(), take_port(), take_port()
    addresses = Addresses(
        api_url=_url(instances[0].port),
        simulator_url=_url(simulator_port) if options.uses_simulator else None,
        shop_url=_url(shop_port) if options.with_shop else None,
        own_shop_url=_url(own_shop_port),
        kafka_bootstrap_servers=bootstrap,
        database_url=database_url,
        client_id=CLIENT_ID,
        api_key=credentials.api_key,
        return_secret=credentials.return_secret,
        webhook_secret=options.stripe_webhook_secret or credentials.webhook_secret,
        ops_url=next(_url(instance.port) for instance in instances if instance.service == "ops_console"),
        ops_token=credentials.ops_token,
        approver_token=credentials.approver_token,
        health_urls={instance.name: _url(instance.port) for instance in instances},
        log_folder=str(folder / "logs"),
    )
    origins = (_url(shop_port), f"http://localhost:{shop_port}", _url(own_shop_port))
    write_clients_file(folder / "clients.toml", credentials, origins)
    write_operators_file(folder / "operators.toml", credentials)
    paths = (ways or Ways()).of(addresses)
    settings = _settings(options, credentials, addresses, paths, folder)
    specs = [service_spec(instance, settings) for instance in instances]
    if addresses.simulator_url:
        specs.insert(0, _simulator(options, credentials, addresses, paths, simulator_port))
    if addresses.shop_url:
        specs.append(_shop(addresses, shop_port))
    return Plan(addresses, tuple(specs))


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _instances(options: WorldOptions, take_port: Callable[[], int]) -> list[Instance]:
    counts = {
        "checkout_api": 1,
        "psp_worker": options.psp_workers,
        "status_processor": options.status_processors,
        "reconciler": 1,
        "ops_console": 1,
    }
    ports = itertools.chain([options.api_port] if options.api_port else [], iter(take_port, 0))
    return [
        Instance(service, service if number == 1 else f"{service}-{number}", next(ports))
        for service, count in counts.items()
        for number in range(1, count + 1)
    ]


def _settings(
    options: WorldOptions, credentials: Credentials, addresses: Addresses, paths: Paths, folder: Path
) -> Mapping[str, str]:
    """Return every setting of every service; each is given only those that it names."""
    return {
        "PAYONCE_KAFKA_BOOTSTRAP_SERVERS": paths.kafka_bootstrap_servers,
        "PAYONCE_DATABASE_URL": paths.database_url,
        "PAYONCE_HTTP_HOST": LOOPBACK,
        "PAYONCE_HTTP_PORT": addresses.api_url.rsplit(":", 1)[1],
        "PAYONCE_PUBLIC_URL": addresses.api_url,
        "PAYONCE_CLIENTS_FILE": str(folder / "clients.toml"),
        "PAYONCE_LINK_SECRETS": credentials.link_secret,
        "PAYONCE_STRIPE_WEBHOOK_SECRETS": addresses.webhook_secret,
        "PAYONCE_STRIPE_SECRET_KEY": options.stripe_secret_key or credentials.stripe_secret_key,
        "PAYONCE_STRIPE_API_BASE": options.stripe_api_base or paths.stripe_api_base or "",
        "PAYONCE_STRIPE_RATE_LIMIT_PER_ENDPOINT": str(options.rate_limit),
        "PAYONCE_STRIPE_RATE_LIMIT_TOTAL": str(options.rate_limit_total),
        "PAYONCE_STRIPE_RECONCILER_SHARE": str(options.reconciler_share),
        "PAYONCE_STRIPE_LIVEMODE": "false",
        "PAYONCE_RECONCILE_INTERVAL_SECONDS": str(options.reconcile_interval_seconds),
        "PAYONCE_RECONCILE_REFRESHES_PER_SECOND": str(options.reconcile_refreshes_per_second),
        "PAYONCE_RECONCILE_GRACE_SECONDS": str(options.reconcile_grace_seconds),
        "PAYONCE_RECONCILE_ASKS_AFTER": json.dumps(dict(options.reconcile_asks_after)),
        "PAYONCE_OPS_HTTP_HOST": LOOPBACK,
        "PAYONCE_OPERATORS_FILE": str(folder / "operators.toml"),
        "PAYONCE_REPLAY_RATE_PER_SECOND": str(options.replay_rate),
        "PAYONCE_HEALTH_HOST": LOOPBACK,
        "PAYONCE_FAUST_DATA_FOLDER": str(folder / "faust"),
    }


def _simulator(
    options: WorldOptions, credentials: Credentials, addresses: Addresses, paths: Paths, port: int
) -> ProcessSpec:
    settings = {
        "SIMULATOR_HOST": LOOPBACK,
        "SIMULATOR_PORT": str(port),
        "SIMULATOR_MERCHANT_NAME": "Small Kettle",
        "SIMULATOR_SECRET_KEY": credentials.stripe_secret_key,
        "SIMULATOR_WEBHOOK_URL": f"{paths.webhooks_to}/webhooks/stripe",
        "SIMULATOR_WEBHOOK_SECRET": addresses.webhook_secret,
        "SIMULATOR_RATE_LIMIT_PER_ENDPOINT": str(options.rate_limit),
        "SIMULATOR_RATE_LIMIT_TOTAL": str(options.rate_limit_total),
        "SIMULATOR_LATENCY_MS": str(options.psp_latency_ms),
        "SIMULATOR_DELAYED_DEBIT_SECONDS": str(options.delayed_debit_seconds),
    }
    return python_process("stripe_simulator", "sandbox.stripe_simulator", settings, f"{_url(port)}/healthz")


def _shop(addresses: Addresses, port: int) -> ProcessSpec:
    settings = {
        "SHOP_PORT": str(port),
        "SHOP_URL": _url(port),
        "SHOP_API_URL": addresses.api_url,
        "SHOP_API_KEY": addresses.api_key,
        "SHOP_RETURN_SECRET": addresses.return_secret,
    }
    if addresses.simulator_url:
        settings["SHOP_PSP_SCRIPT_URL"] = f"{addresses.simulator_url}/js/stripe.js"
        settings["SHOP_PSP_KEY"] = "pk_test_simulator"
    return python_process("demo_shop", "sandbox.demo_shop", settings, f"{_url(port)}/healthz")
