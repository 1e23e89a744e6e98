"""The processes as data: what runs, with which settings. A test holds docker-compose.yml equal to it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.supervisor import ProcessSpec

#: A service's name, the settings it is given beyond Kafka's and PostgreSQL's addresses.
SERVICE_SETTINGS: dict[str, tuple[str, ...]] = {
    "checkout_api": (
        "PAYONCE_HTTP_HOST",
        "PAYONCE_HTTP_PORT",
        "PAYONCE_PUBLIC_URL",
        "PAYONCE_CLIENTS_FILE",
        "PAYONCE_LINK_SECRETS",
        "PAYONCE_STRIPE_WEBHOOK_SECRETS",
    ),
    "psp_worker": (
        "PAYONCE_STRIPE_SECRET_KEY",
        "PAYONCE_STRIPE_API_BASE",
        "PAYONCE_STRIPE_RATE_LIMIT_PER_ENDPOINT",
        "PAYONCE_STRIPE_RATE_LIMIT_TOTAL",
        "PAYONCE_STRIPE_RECONCILER_SHARE",
        "PAYONCE_HEALTH_HOST",
        "PAYONCE_HEALTH_PORT",
    ),
    "status_processor": (
        "PAYONCE_STRIPE_LIVEMODE",
        "PAYONCE_FAUST_DATA_FOLDER",
        "PAYONCE_HEALTH_HOST",
        "PAYONCE_HEALTH_PORT",
    ),
    "reconciler": (
        "PAYONCE_STRIPE_SECRET_KEY",
        "PAYONCE_STRIPE_API_BASE",
        "PAYONCE_STRIPE_RECONCILER_SHARE",
        "PAYONCE_RECONCILE_INTERVAL_SECONDS",
        "PAYONCE_RECONCILE_REFRESHES_PER_SECOND",
        "PAYONCE_RECONCILE_GRACE_SECONDS",
        "PAYONCE_RECONCILE_ASKS_AFTER",
        "PAYONCE_HEALTH_HOST",
        "PAYONCE_HEALTH_PORT",
    ),
    "ops_console": (
        "PAYONCE_OPS_HTTP_HOST",
        "PAYONCE_OPS_HTTP_PORT",
        "PAYONCE_OPERATORS_FILE",
        "PAYONCE_REPLAY_RATE_PER_SECOND",
        "PAYONCE_LINK_SECRETS",
    ),
}
SHARED_SETTINGS = ("PAYONCE_KAFKA_BOOTSTRAP_SERVERS", "PAYONCE_DATABASE_URL")


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of a service: `name` is unique in the world, `port` serves its health page (or the API)."""

    service: str
    name: str
    port: int

    @property
    def ready_url(self) -> str:
        """Where it says that it can work."""
        return f"http://127.0.0.1:{self.port}/readyz"


def service_spec(instance: Instance, values: Mapping[str, str]) -> ProcessSpec:
    """Return how to run one process; of `values` it is given only the settings that its service names."""
    own = {**values, "PAYONCE_HEALTH_PORT": str(instance.port), "PAYONCE_OPS_HTTP_PORT": str(instance.port)}
    names = (*SHARED_SETTINGS, *SERVICE_SETTINGS[instance.service], "PAYONCE_LOG_LEVEL")
    settings = {name: own[name] for name in names if own.get(name)}
    return python_process(instance.name, f"services.{instance.service}", settings, instance.ready_url)


def python_process(name: str, module: str, settings: Mapping[str, str], ready_url: str) -> ProcessSpec:
    """Return how to run a module of ours with this interpreter."""
    return ProcessSpec(name=name, argv=(sys.executable, "-m", module), env=settings, ready_url=ready_url)
