"""What a world is made of. Addresses that are given are used; the rest is started."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """How to build a world; rates are calls per second, at the simulator and in the worker alike."""

    brokers: Literal[1, 3] = 1
    kafka_heap_mb: int = 256
    database_folder: Path | None = None
    rate_limit: float = 100.0
    psp_latency_ms: int = 0
    delayed_debit_seconds: float = 2.0
    psp_workers: int = 1
    status_processors: int = 1
    reconciler_share: float = 2.0
    reconcile_interval_seconds: float = 5.0
    reconcile_refreshes_per_second: float = 1.0
    reconcile_grace_seconds: int = 10
    #: Status -> seconds: when an order that stays in it is first asked after at the PSP, if not as usual.
    reconcile_asks_after: Mapping[str, int] = field(default_factory=dict)
    replay_rate: float = 5.0
    with_shop: bool = False
    api_port: int | None = None
    kafka_bootstrap_servers: str | None = None
    database_url: str | None = None
    stripe_api_base: str | None = None
    stripe_secret_key: str | None = None
    stripe_webhook_secret: str | None = None

    @property
    def min_insync_replicas(self) -> int:
        """How many brokers must have a record before it counts: two of three, so that one may be away."""
        return max(1, self.brokers - 1)

    @property
    def rate_limit_total(self) -> float:
        """The PSP's limit over all endpoints: four times one endpoint's, as in Stripe's live mode."""
        return self.rate_limit * 4

    @property
    def uses_simulator(self) -> bool:
        """Whether the PSP is our double: no key and no address of another was given."""
        return self.stripe_api_base is None and self.stripe_secret_key is None


def existing(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the parts that the environment names: a broker, a database, a Stripe-compatible address."""
    names = {
        "kafka_bootstrap_servers": "PAYONCE_KAFKA_BOOTSTRAP_SERVERS",
        "database_url": "PAYONCE_DATABASE_URL",
        "stripe_api_base": "PAYONCE_STRIPE_API_BASE",
        "stripe_secret_key": "PAYONCE_STRIPE_SECRET_KEY",
        "stripe_webhook_secret": "PAYONCE_STRIPE_WEBHOOK_SECRETS",
    }
    return {option: environment[name] for option, name in names.items() if environment.get(name)}
