"""Logs and metrics: one line per fact, one vocabulary of metrics. No secret, token or payment link in either.

Log ERROR only if a person must act.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# ---- every process
dead_letters_total = Counter(
    "payonce_dead_letters_total", "Messages set aside; any increase wants a look", ("process", "topic", "reason")
)
publish_failures_total = Counter(
    "payonce_publish_failures_total", "Records without a delivery report in time; Kafka is away or slow", ("topic",)
)

# ---- checkout_api
http_requests_total = Counter(
    "payonce_http_requests_total",
    "Requests answered; a growing share of 503 means Kafka or PostgreSQL is away",
    ("method", "route", "status"),
)
http_request_seconds = Histogram(
    "payonce_http_request_seconds",
    "Time to answer, waits that the caller asked for included",
    ("route",),
    buckets=_LATENCY_BUCKETS,
)
webhooks_total = Counter(
    "payonce_webhooks_total", "Webhooks by outcome; bad_signature means a wrong secret or a forger", ("outcome",)
)
clients_file_broken = Gauge(
    "payonce_clients_file_broken", "1 while the changed clients file cannot be read and the one before it is in use"
)
order_watch_up = Gauge(
    "payonce_order_watch_up", "1 while changes of orders arrive by LISTEN; 0: PostgreSQL is away, waits go unanswered"
)
waiting_requests = Gauge("payonce_waiting_requests", "Requests that wait for their order to change")
event_streams = Gauge("payonce_event_streams", "Streams of an order's changes that are open; 1,000 is the most")


# ---- status_processor
fold_events_total = Counter(
    "payonce_fold_events_total",
    "Events folded by effect: applied, no_change (known before), ignored (not a fact)",
    ("type", "effect"),
)
fold_batch_records = Histogram(
    "payonce_fold_batch_records",
    "Records folded in one go; near 500 means that the fold works off a backlog",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500),
)
fold_seconds = Histogram(
    "payonce_fold_seconds", "Time from taking a batch to its commit and its dead letters", buckets=_LATENCY_BUCKETS
)
fold_lag_records = Gauge(
    "payonce_fold_lag_records", "Records that this process has still to fold in the partitions it holds", ("topic",)
)
fold_foreign_events_total = Counter(
    "payonce_fold_foreign_events_total", "PSP events that concern no order of ours; dropped"
)
fold_parked_events_total = Counter(
    "payonce_fold_parked_events_total", "PSP events set down to wait until their order is known"
)
fold_released_events_total = Counter(
    "payonce_fold_released_events_total", "Waiting events that were folded once their order was known"
)
fold_missing_offsets_total = Counter(
    "payonce_fold_missing_offsets_total",
    "Offsets at which the log had nothing when they were due: expired before the fold, or a transaction's marker",
    ("topic",),
)
outbox_depth_rows = Gauge(
    "payonce_outbox_depth_rows", "Status changes waiting for the relay as it last saw them; growing: Kafka is away"
)
outbox_published_total = Counter("payonce_outbox_published_total", "Status changes published to payments.status")

# ---- psp_worker
psp_calls_total = Counter(
    "payonce_psp_calls_total",
    "Calls to the PSP by how they ended; many that are not ok: it is in trouble",
    ("outcome",),
)
psp_call_seconds = Histogram(
    "payonce_psp_call_seconds", "How long the PSP takes to answer one call", buckets=_LATENCY_BUCKETS
)
registration_outcomes_total = Counter(
    "payonce_registration_outcomes_total", "Outcomes published by kind, repeats included", ("kind",)
)
worker_holds = Gauge(
    "payonce_worker_holds",
    "Why consumption is paused; configuration above 0 wants a person at once: the PSP refuses our key",
    ("cause",),
)
worker_resting = Gauge(
    "payonce_worker_resting",
    "1 while an endpoint of the PSP fails or refuses us although the PSP is there: one command at a time tries it",
    ("endpoint",),
)
worker_open_offsets = Gauge(
    "payonce_worker_open_offsets",
    "Commands read and not finished, by partition; one that stays high hides a stuck order",
    ("partition",),
)
commit_failures_total = Counter(
    "payonce_commit_failures_total", "Offset commits that failed and are repeated; steady growth: the group is ill"
)

# ---- reconciler
reconciler_active = Gauge("payonce_reconciler_active", "1 in the one reconciler that works; 0 in those that stand by")
reconciler_lag_seconds = Gauge(
    "payonce_reconciler_lag_seconds",
    "How far each task of the reconciler is behind the clock; growing: the PSP is away, or a rate is too small",
    ("task",),
)
reconciled_events_total = Counter(
    "payonce_reconciled_events_total", "PSP events that no webhook had brought; many mean that webhooks get lost"
)
refreshes_total = Counter(
    "payonce_refreshes_total", "Orders that the reconciler asked the PSP about, by reason", ("reason",)
)
reference_lookups_total = Counter(
    "payonce_reference_lookups_total", "Waiting events looked up at the PSP: ours, foreign or unknown", ("outcome",)
)
order_age_seconds = Gauge(
    "payonce_order_age_seconds", "Age of the order that is longest in this status; 0: none is", ("status",)
)
stuck_orders = Gauge("payonce_stuck_orders", "Orders longer in this status than they should be", ("status",))

# ---- ops_console
dead_letters_open = Gauge(
    "payonce_dead_letters_open",
    "Dead letters that nobody has answered yet; any is a payment or an event that waits for a person",
    ("topic", "group", "reason"),
)
dead_letters_indexed_total = Counter(
    "payonce_dead_letters_indexed_total", "Letters read from the dead-letter topics, repetitions included", ("topic",)
)
dead_letters_replayed_total = Counter(
    "payonce_dead_letters_replayed_total", "Dead letters sent again, by the topic they went to", ("topic",)
)
audit_published_total = Counter("payonce_audit_published_total", "Audit entries anchored on payments.ops")
operators_file_broken = Gauge(
    "payonce_operators_file_broken", "1 while the changed operators file cannot be read and the one before is in use"
)


def configure_logging(process: str, *, level: str = "INFO", json_lines: bool = True) -> None:
    """Send structured logs to standard output, one line per fact. Call once per process."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: Any = structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer(colors=False)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def histogram(name: str, help_text: str, labels: tuple[str, ...] = ()) -> Histogram:
    """Return a latency histogram in seconds with the buckets that all of ours share."""
    return Histogram(name, help_text, labels, buckets=_LATENCY_BUCKETS)


__all__ = ["Counter", "Gauge", "configure_logging", "dead_letters_total", "histogram", "publish_failures_total"]
