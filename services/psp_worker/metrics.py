"""The worker's part of the vocabulary of metrics."""

from __future__ import annotations

from payonce.telemetry import Counter, Gauge, histogram

psp_calls_total = Counter(
    "payonce_psp_calls_total", "Calls to the PSP by how they ended; more than ok means it is in trouble", ("outcome",)
)
psp_call_seconds = histogram("payonce_psp_call_seconds", "How long the PSP takes to answer one call")
outcomes_total = Counter(
    "payonce_registration_outcomes_total", "Outcomes published by kind, repeats included", ("kind",)
)
holds_gauge = Gauge(
    "payonce_worker_holds",
    "Why consumption is paused; configuration above 0 wants a person at once: the PSP refuses our key",
    ("cause",),
)
open_offsets_gauge = Gauge(
    "payonce_worker_open_offsets",
    "Commands read and not finished, by partition; a growing one hides a stuck order",
    ("partition",),
)
