"""`python -m services.reconciler`: keeps PostgreSQL true to the PSP until SIGTERM; `report` compares once and says so.

Settings come from the environment; exit codes are in `exits`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

import structlog

from payonce.adapters.clock import SystemClock
from payonce.adapters.health import HealthServer
from payonce.adapters.kafka.producer import KafkaProducer
from payonce.adapters.kafka.topics import BrokersAway, partition_counts
from payonce.adapters.postgres import Database
from payonce.adapters.reconciler_store import PostgresReconcilerStore
from payonce.adapters.stripe import StripeGateway
from payonce.adapters.stripe_reads import StripeReads
from payonce.catalog import topics_written_by
from payonce.settings import ReconcilerSettings
from payonce.telemetry import configure_logging
from services.reconciler.assembly import Policy, Ports, assemble
from services.reconciler.exits import Exit
from services.reconciler.overdue_orders import SOURCE
from services.reconciler.report_command import add_report, run_report

log = structlog.get_logger()

_STATEMENT_MS = 60_000
#: A reconciler that is frozen gives its lock to the next one after so long and the pause between two rounds. Within a
#: round it says nothing for minutes at most: some calls to a slow PSP, a minute for the delivery reports.
_SILENCE_SECONDS = 900


def main() -> int:
    """Run what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.reconciler", description=__doc__)
    add_report(parser)
    arguments = parser.parse_args()
    settings = ReconcilerSettings()
    configure_logging(SOURCE, level=settings.log_level, json_lines=settings.log_format == "json")
    refusal = _refusal(settings)
    if refusal is not None:
        return refusal
    return asyncio.run(run_report(settings, arguments) if arguments.command == "report" else _serve(settings))


def _refusal(settings: ReconcilerSettings) -> Exit | None:
    """Return why not to start."""
    if not settings.stripe_secret_key.get_secret_value():
        log.error("setting_missing", setting="PAYONCE_STRIPE_SECRET_KEY")
        return Exit.MISCONFIGURED
    wanted = topics_written_by(SOURCE)
    try:
        found = partition_counts(settings.kafka_bootstrap_servers, wanted)
    except BrokersAway as error:
        log.error("brokers_away", detail=str(error))  # noqa: TRY400  (the address says it all)
        return Exit.KAFKA_AWAY
    if missing := sorted(set(wanted) - set(found)):
        log.error("topics_missing", topics=missing, remedy="payonce topics create")
        return Exit.MISCONFIGURED
    return None


async def _serve(settings: ReconcilerSettings) -> Exit:
    gateway = StripeGateway(
        settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base, settings.stripe_timeout_seconds
    )
    # It looks through all unfinished orders: in a backlog of millions that takes a while, and nobody waits for it.
    database = Database(
        settings.database_url,
        application_name=SOURCE,
        pool_size=1,
        statement_timeout_ms=_STATEMENT_MS,
        idle_session_ms=int((settings.reconcile_interval_seconds + _SILENCE_SECONDS) * 1000),
    )
    store = PostgresReconcilerStore(database)
    producer = KafkaProducer(settings.kafka_bootstrap_servers, client_id=SOURCE)
    reads = StripeReads(gateway, api_version=settings.stripe_api_version)
    reconciler = assemble(Ports(reads, store, producer, SystemClock()), _policy(settings))
    health = (
        HealthServer(settings.health_host, settings.health_port, lambda: reconciler.is_ready and producer.is_alive)
        if settings.health_port
        else None
    )
    exit_code = await _run(asyncio.ensure_future(reconciler.run()), producer.ended)
    await producer.close()
    await gateway.close()
    await asyncio.to_thread(store.close)
    if health is not None:
        health.close()
    return exit_code


async def _run(work: asyncio.Future[None], producer_ended: asyncio.Future[None]) -> Exit:
    """Return how it ended: as asked, by a bug, or because nothing can be published any more."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.info("started")
    asked_to_stop = asyncio.ensure_future(stop.wait())
    await asyncio.wait((work, asked_to_stop, producer_ended), return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        asked_to_stop.cancel()
        log.error("cannot_go_on", exc_info=work.exception())
        return Exit.BUG
    work.cancel()
    await asyncio.wait((work,))
    if producer_ended.done():
        asked_to_stop.cancel()
        log.error("cannot_go_on", exit_code=int(Exit.KAFKA_LOST), error=str(producer_ended.exception()))
        return Exit.KAFKA_LOST
    log.info("stopped")
    return Exit.CLEAN


def _policy(settings: ReconcilerSettings) -> Policy:
    return Policy(
        calls_per_second=settings.stripe_reconciler_share,
        refreshes_per_second=settings.reconcile_refreshes_per_second,
        interval_seconds=settings.reconcile_interval_seconds,
        grace_seconds=settings.reconcile_grace_seconds,
        api_version=settings.stripe_api_version,
        asks_after=settings.reconcile_asks_after,
    )


if __name__ == "__main__":
    sys.exit(main())
