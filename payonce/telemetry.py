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
