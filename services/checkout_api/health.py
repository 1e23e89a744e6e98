"""Alive, able to publish, and the metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from payonce.problem_documents import documented
from services.checkout_api.dependencies import Parts
from services.checkout_api.problems import unavailable

_BROKER_SECONDS = 2.0
router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "alive"}


@router.get("/readyz", responses=documented(503))
async def ready(parts: Parts) -> dict[str, str]:
    """Say whether orders and webhooks can be taken. PostgreSQL's absence does not make it unready: they can."""
    if not await parts.broker.reachable(_BROKER_SECONDS):
        raise unavailable("the log")
    return {"status": "ready", "orders": "readable" if parts.watch.healthy else "away"}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
