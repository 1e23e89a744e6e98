"""`python -m services.psp_worker`: wires the worker to Kafka, PostgreSQL and Stripe, runs it, and says how it ended."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from typing import Any

import structlog

from payonce.adapters.clock import SystemClock
from payonce.adapters.health import HealthServer
from payonce.adapters.kafka.consumer import ConsumerEnded, GroupConsumer
from payonce.adapters.kafka.consumer_config import consumer_config
from payonce.adapters.kafka.producer import KafkaProducer, ProducerEnded
from payonce.adapters.kafka.topics import BrokersAway, partition_counts
from payonce.adapters.ledger import PostgresLedger
from payonce.adapters.ledger_continuity import LedgerThread
from payonce.adapters.postgres import Database
from payonce.adapters.stripe import StripeGateway
from payonce.catalog import topics_read_by, topics_written_by
from payonce.ports import PositionMoved
from payonce.settings import PspWorkerSettings
from payonce.telemetry import configure_logging
from services.psp_worker.assembly import Ports, Worker, assemble
from services.psp_worker.exits import Exit, LedgerContradicted
from services.psp_worker.timing import POLL_FRESH_SECONDS, STOP_SECONDS
from services.psp_worker.voice import PROCESS

log = structlog.get_logger()

_EXIT_OF: dict[type[BaseException], Exit] = {
    ConsumerEnded: Exit.KAFKA_LOST,
    ProducerEnded: Exit.KAFKA_LOST,
    PositionMoved: Exit.POSITION_MOVED,
    LedgerContradicted: Exit.LEDGER_CONTRADICTED,
}


def main() -> int:
    """Run the worker until it is asked to stop or cannot go on; return its exit code."""
    settings = PspWorkerSettings()
    configure_logging(PROCESS, level=settings.log_level, json_lines=settings.log_format == "json")
    if not settings.stripe_secret_key.get_secret_value():
        log.error("setting_missing", setting="PAYONCE_STRIPE_SECRET_KEY")
        return Exit.MISCONFIGURED
    try:
        counts = partition_counts(settings.kafka_bootstrap_servers, _topics())
    except BrokersAway as error:
        log.error("brokers_away", detail=str(error))  # noqa: TRY400  (the address says it all)
        return Exit.KAFKA_LOST
    if missing := sorted(set(_topics()) - set(counts)):
        log.error("topics_missing", topics=missing, remedy="payonce topics create")
        return Exit.MISCONFIGURED
    return asyncio.run(_serve(settings, sum(counts[topic] for topic in topics_read_by(PROCESS))))


def _topics() -> list[str]:
    return sorted({*topics_read_by(PROCESS), *topics_written_by(PROCESS)})


async def _serve(settings: PspWorkerSettings, partitions: int) -> Exit:
    clock = SystemClock()
    database = Database(settings.database_url, application_name=PROCESS)
    database_thread = LedgerThread(database)
    producer = KafkaProducer(settings.kafka_bootstrap_servers, client_id=PROCESS)
    gateway = StripeGateway(
        settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base, settings.stripe_timeout_seconds
    )
    member: GroupConsumer | None = None

    def last_poll_at() -> float:
        return member.last_poll_at() if member else float("-inf")

    ports = Ports(gateway, PostgresLedger(database_thread), producer, clock, last_poll_at, random.random)
    worker = assemble(
        ports,
        limit_per_second=settings.stripe_rate_limit_per_endpoint,
        total_per_second=settings.stripe_rate_limit_total,
        reserved_per_second=settings.stripe_reconciler_share,
        partitions=partitions,
        concurrency=settings.worker_concurrency,
    )
    member = GroupConsumer(_consumer_config(settings), topics_read_by(PROCESS), worker.intake, clock.monotonic)
    worker.intake.attach(member)
    health = _health(settings, worker, member, producer, clock)
    exit_code = await _run(worker, member, producer.ended)
    if exit_code is Exit.STOPPED:
        await producer.close()
        await gateway.close()
        database_thread.close()
        database.dispose()
        if health is not None:
            health.close()
    return exit_code


async def _run(worker: Worker, member: GroupConsumer, producer_ended: asyncio.Future[None]) -> Exit:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asked_to_stop = asyncio.ensure_future(stop.wait())
    committing = asyncio.ensure_future(worker.intake.run())
    endings: list[asyncio.Future[None]] = [committing, worker.intake.failed, member.ended, producer_ended]
    member.start()
    log.info("started")
    watched: list[asyncio.Future[Any]] = [asked_to_stop, *endings]
    await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    if not any(ending.done() for ending in endings):
        log.info("stopping")
        draining = asyncio.ensure_future(worker.intake.drain(STOP_SECONDS))
        endings.append(draining)
        await asyncio.wait([draining, committing])
        await member.stop()
    return _exit_code(endings)


def _exit_code(endings: list[asyncio.Future[None]]) -> Exit:
    """Return how it ended. A failure ends the process as it stands: that is what every other part is built for."""
    for ending in endings:
        if ending.done() and not ending.cancelled() and (error := ending.exception()) is not None:
            code = _EXIT_OF.get(type(error), Exit.BUG)
            log.error("cannot_go_on", exit_code=int(code), exit=code.name, exc_info=error)
            return code
    log.info("stopped")
    return Exit.STOPPED


def _consumer_config(settings: PspWorkerSettings) -> dict[str, str | int | bool]:
    return consumer_config(
        settings.kafka_bootstrap_servers,
        group=PROCESS,
        session_timeout_ms=settings.kafka_session_timeout_ms,
        group_instance_id=settings.kafka_group_instance_id,
    )


def _health(
    settings: PspWorkerSettings, worker: Worker, member: GroupConsumer, producer: KafkaProducer, clock: SystemClock
) -> HealthServer | None:
    def ready() -> bool:
        is_reading = clock.monotonic() - member.last_poll_at() < POLL_FRESH_SECONDS
        return producer.is_alive and is_reading and not worker.holds.active

    return HealthServer(settings.health_host, settings.health_port, ready) if settings.health_port else None


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if code != Exit.STOPPED:
        # Threads inside the Kafka library may still run; nothing that they could finish is needed.
        os._exit(code)
    sys.exit(code)
