"""The simulator's settings: read once from the environment, or given by a test."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSION = "2026-10-28.endive"
# The versions whose Checkout Session, PaymentIntent, Charge and Event have the shapes that are built here.
KNOWN_API_VERSIONS = frozenset({"2026-09-30.endive", API_VERSION})

# What a subscription can become when the last try to collect an invoice has failed.
AFTER_LAST_RETRY = ("canceled", "unpaid", "past_due")

# What an endpoint of payonce subscribes to.
ENABLED_EVENTS = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.expired",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.canceled",
        "charge.succeeded",
        "charge.refunded",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "invoice.paid",
        "invoice.payment_failed",
        "invoice.payment_action_required",
        "invoice.finalization_failed",
        "invoice.marked_uncollectible",
        "invoice.voided",
        "invoice_payment.paid",
        "refund.created",
        "refund.updated",
        "refund.failed",
    }
)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set; seconds are of the simulator's clock unless the name says otherwise."""

    host: str = "127.0.0.1"
    port: int = 8431
    public_url: str = ""
    secret_key: str = "sk_test_payonce"
    merchant_name: str = "Payonce Demo Shop"
    api_version: str = API_VERSION
    webhook_url: str | None = None
    webhook_secrets: tuple[str, ...] = ()
    enabled_events: frozenset[str] = field(default=ENABLED_EVENTS)
    webhook_concurrency: int = 64
    webhook_backoff_seconds: float = 0.5
    webhook_backoff_max_seconds: float = 30.0
    rate_limit_per_endpoint: int = 25
    rate_limit_total: int = 100
    latency_ms: float = 0.0
    delayed_debit_seconds: float = 3 * 86_400.0
    slow_debit_seconds: float = 2 * 86_400.0
    refund_seconds: float = 3 * 86_400.0
    invoice_draft_seconds: float = 3600.0
    retry_seconds: tuple[float, ...] = (3 * 86_400.0, 5 * 86_400.0, 7 * 86_400.0)
    after_last_retry: str = "canceled"
    redirect_wait_seconds: float = 10.0
    seed: int | None = None

    @property
    def base_url(self) -> str:
        """Base of the hosted pages' addresses, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def from_environment(environment: Mapping[str, str] = os.environ) -> Config:
    """Read `SIMULATOR_*`. Raises ValueError, with the variable's name, for a value that is no number."""
    default = Config()

    def text(name: str, otherwise: str) -> str:
        return environment.get(f"SIMULATOR_{name}") or otherwise

    def number(name: str, otherwise: float) -> float:
        value = text(name, str(otherwise))
        try:
            return float(value)
        except ValueError as error:
            raise ValueError(f"SIMULATOR_{name} must be a number, not {value!r}") from error

    seed = environment.get("SIMULATOR_SEED")
    secrets = text("WEBHOOK_SECRET", "").split(",")
    return Config(
        host=text("HOST", default.host),
        port=int(number("PORT", default.port)),
        public_url=text("PUBLIC_URL", ""),
        secret_key=text("SECRET_KEY", default.secret_key),
        merchant_name=text("MERCHANT_NAME", default.merchant_name),
        webhook_url=environment.get("SIMULATOR_WEBHOOK_URL") or None,
        webhook_secrets=tuple(secret.strip() for secret in secrets if secret.strip()),
        webhook_concurrency=int(number("WEBHOOK_CONCURRENCY", default.webhook_concurrency)),
        webhook_backoff_seconds=number("WEBHOOK_BACKOFF_SECONDS", default.webhook_backoff_seconds),
        webhook_backoff_max_seconds=number("WEBHOOK_BACKOFF_MAX_SECONDS", default.webhook_backoff_max_seconds),
        rate_limit_per_endpoint=int(number("RATE_LIMIT_PER_ENDPOINT", default.rate_limit_per_endpoint)),
        rate_limit_total=int(number("RATE_LIMIT_TOTAL", default.rate_limit_total)),
        latency_ms=number("LATENCY_MS", default.latency_ms),
        delayed_debit_seconds=number("DELAYED_DEBIT_SECONDS", default.delayed_debit_seconds),
        slow_debit_seconds=number("SLOW_DEBIT_SECONDS", default.slow_debit_seconds),
        refund_seconds=number("REFUND_SECONDS", default.refund_seconds),
        invoice_draft_seconds=number("INVOICE_DRAFT_SECONDS", default.invoice_draft_seconds),
        retry_seconds=_durations(text("RETRY_SECONDS", ",".join(map(str, default.retry_seconds)))),
        after_last_retry=_after_last_retry(text("AFTER_LAST_RETRY", default.after_last_retry)),
        redirect_wait_seconds=min(10.0, number("REDIRECT_WAIT_SECONDS", default.redirect_wait_seconds)),
        seed=int(seed) if seed else None,
    )


def _durations(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"SIMULATOR_RETRY_SECONDS must be numbers separated by commas, not {text!r}") from error


def _after_last_retry(status: str) -> str:
    if status not in AFTER_LAST_RETRY:
        raise ValueError(f"SIMULATOR_AFTER_LAST_RETRY must be one of {', '.join(AFTER_LAST_RETRY)}, not {status!r}")
    return status
