"""Settings: the environment only, one class per subject, defaults that work on a laptop, secrets without defaults.

Every name has the prefix `PAYONCE_`. The README's table is generated from these fields.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PAYONCE_", env_ignore_empty=True, extra="ignore", frozen=True)


class KafkaSettings(_Settings):
    """Where the log is."""

    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, comma separated")
    kafka_replication_factor: int = Field(
        1, ge=1, description="Replication factor of topics that we create (production: 3)"
    )
    kafka_min_insync_replicas: int = Field(
        1, ge=1, description="min.insync.replicas of topics that we create (production: 2)"
    )
    kafka_session_timeout_ms: int = Field(
        10_000, ge=6_000, description="How long the group waits for a silent consumer"
    )
    kafka_group_instance_id: str | None = Field(
        None, description="Static membership: unique among live processes, stable over restarts; empty: dynamic"
    )


class DatabaseSettings(_Settings):
    """Where PostgreSQL is."""

    database_url: str = Field(
        "postgresql+psycopg2://payonce@127.0.0.1:5432/payonce", description="SQLAlchemy address of PostgreSQL"
    )


class StripeSettings(_Settings):
    """How to reach the PSP, and how fast."""

    stripe_secret_key: SecretStr = Field(SecretStr(""), description="Stripe's secret key (sk_...)")
    stripe_api_base: str | None = Field(None, description="Stripe-compatible address instead of Stripe's own")
    stripe_timeout_seconds: float = Field(15.0, gt=0, le=60, description="Longest wait for one answer of Stripe")
    stripe_rate_limit_per_endpoint: float = Field(
        25.0, gt=0, description="Stripe's limit for one endpoint, calls per second; we use 80 % of it"
    )
    stripe_rate_limit_total: float = Field(
        100.0, gt=0, description="Stripe's limit for all endpoints together, calls per second; we use 80 % of it"
    )
    stripe_reconciler_share: float = Field(
        2.0, gt=0, description="Calls per second that the reconciler makes; the workers do with so much less"
    )


class ObservabilitySettings(_Settings):
    """How a process tells how it is."""

    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: str = Field("json", pattern="^(json|console)$", description="json (one object a line) or console")
    health_host: str = Field(
        "127.0.0.1", description="Address of /healthz, /readyz, /metrics of processes without HTTP"
    )
    health_port: int = Field(0, ge=0, le=65535, description="Port of the same; 0: none")


class CheckoutApiSettings(KafkaSettings, DatabaseSettings, ObservabilitySettings):
    """The checkout API."""

    http_host: str = Field("127.0.0.1", description="Address the API listens on")
    http_port: int = Field(8000, ge=0, le=65535, description="Port the API listens on")
    public_url: str = Field("http://127.0.0.1:8000", description="The API's address as customers' browsers see it")
    clients_file: Path = Field(
        Path("clients.toml"), description="Client apps: hashed keys, origins, limits, return secret"
    )
    link_secrets: SecretStr = Field(
        SecretStr(""), description="Secrets that sign checkout links, comma separated; the first signs, all verify"
    )
    stripe_webhook_secrets: SecretStr = Field(
        SecretStr(""),
        description="Secrets of Stripe's webhook endpoint (whsec_...), comma separated; empty: endpoint off",
    )
    stripe_api_version: str = Field(
        "2026-10-28.endive",
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([.][a-z_]{1,28})?$",
        description="Stripe API version frozen into every command",
    )
    session_lifetime_seconds: int = Field(
        82_500,
        ge=7_200,
        le=82_800,
        description="How long an attempt can be paid; below 23 h, so that Stripe refuses what its keys have forgotten",
    )


class PspWorkerSettings(KafkaSettings, DatabaseSettings, StripeSettings, ObservabilitySettings):
    """The PSP worker."""

    worker_concurrency: int = Field(128, ge=1, le=4096, description="Commands in progress at once in one worker")


class StatusProcessorSettings(KafkaSettings, DatabaseSettings, ObservabilitySettings):
    """The status processor."""

    stripe_livemode: bool = Field(
        False, description="Whether live events are expected; events of the other mode are dead letters"
    )
    faust_data_folder: Path = Field(
        Path("status-processor-data"), description="Faust's own folder; holds nothing of value"
    )


class ReconcilerSettings(KafkaSettings, DatabaseSettings, StripeSettings, ObservabilitySettings):
    """The reconciler."""

    stripe_api_version: str = Field(
        "2026-10-28.endive",
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([.][a-z_]{1,28})?$",
        description="Stripe API version frozen into every command",
    )
    reconcile_interval_seconds: float = Field(60.0, gt=0, description="Pause between two rounds of the reconciler")
    reconcile_refreshes_per_second: float = Field(
        1.0, gt=0, description="Overdue orders per second that the workers read at Stripe, with calls of their own"
    )
    reconcile_grace_seconds: int = Field(
        60, ge=0, le=3_600, description="How young an event may be and still be on its way as a webhook"
    )
    reconcile_asks_after: dict[str, int] = Field(
        {},
        description="JSON, status to seconds: when an order that stays in it is first asked after, if not as usual",
    )


class OpsConsoleSettings(KafkaSettings, DatabaseSettings, ObservabilitySettings):
    """The ops console."""

    ops_http_host: str = Field("127.0.0.1", description="Address the ops console listens on")
    ops_http_port: int = Field(8001, ge=0, le=65535, description="Port the ops console listens on")
    operators_file: Path = Field(Path("operators.toml"), description="Operators: hashed tokens, roles")
    replay_rate_per_second: float = Field(
        2.0, gt=0, description="Replayed commands per second: the share of the PSP's limit that replays may take"
    )
    link_secrets: SecretStr = Field(
        SecretStr(""), description="Secrets that sign checkout links, comma separated; the first signs, all verify"
    )
    session_lifetime_seconds: int = Field(
        82_500,
        ge=7_200,
        le=82_800,
        description="How long an attempt can be paid; below 23 h, so that Stripe refuses what its keys have forgotten",
    )


class OpsClientSettings(_Settings):
    """`payonce dlq`, an HTTP client of the ops console."""

    ops_url: str = Field("http://127.0.0.1:8001", description="Address of the ops console, for `payonce dlq`")
    ops_token: SecretStr = Field(SecretStr(""), description="Your operator token, for `payonce dlq`")


def listed(secrets: SecretStr) -> tuple[str, ...]:
    """Return the non-empty parts of a comma separated secret."""
    return tuple(part.strip() for part in secrets.get_secret_value().split(",") if part.strip())


def as_markdown() -> str:
    """Return the README's table of every setting, its default, its readers and its meaning."""
    services: dict[str, type[_Settings]] = {
        "checkout_api": CheckoutApiSettings,
        "psp_worker": PspWorkerSettings,
        "status_processor": StatusProcessorSettings,
        "reconciler": ReconcilerSettings,
        "ops_console": OpsConsoleSettings,
    }
    processes: dict[str, type[_Settings]] = {**services, "payonce dlq": OpsClientSettings}
    names = sorted({name for settings in processes.values() for name in settings.model_fields})
    rows = ["| variable | default | read by | meaning |", "|---|---|---|---|"]
    for name in names:
        readers = [process for process, settings in processes.items() if name in settings.model_fields]
        field = processes[readers[0]].model_fields[name]
        default = "" if isinstance(field.default, SecretStr) or field.default is None else f"`{field.default}`"
        who = "all" if readers == list(services) else ", ".join(readers)
        rows.append(f"| `PAYONCE_{name.upper()}` | {default} | {who} | {field.description} |")
    return "\n".join(rows)
