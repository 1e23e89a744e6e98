"""`report --since 2h --dry-run`: the drift report on the command line. Its exit code says whether there is drift."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime

from payonce.adapters.clock import SystemClock
from payonce.adapters.kafka.producer import KafkaProducer
from payonce.adapters.postgres import Database, DatabaseThread
from payonce.adapters.reconciler_report import PostgresReconcilerReport
from payonce.adapters.stripe import StripeGateway
from payonce.adapters.stripe_reads import StripeReads
from payonce.ports import GatewayFailure, PublishFailed, StoreUnavailable
from payonce.settings import ReconcilerSettings
from services.reconciler.drift import Finding
from services.reconciler.exits import Exit
from services.reconciler.overdue_orders import SOURCE
from services.reconciler.pace import PacedReads
from services.reconciler.report import Report

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def add_report(parser: argparse.ArgumentParser) -> None:
    """Teach the parser the command `report`."""
    report = parser.add_subparsers(dest="command").add_parser("report", help="compare PostgreSQL with the PSP, once")
    report.add_argument("--since", type=seconds_of, default="2h", help="orders changed in that time: 30s, 15m, 2h, 3d")
    how = report.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only tell (the default)")
    how.add_argument("--fix", action="store_true", help="have each order that differs read again")


def seconds_of(text: str) -> int:
    """Return a time like 90s, 15m, 2h or 3d in seconds. Raises ArgumentTypeError."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 90s, 15m, 2h or 3d")
    return int(found[1]) * _UNITS[found[2]]


async def run_report(settings: ReconcilerSettings, arguments: argparse.Namespace) -> Exit:
    """Print the report and return its verdict. Changes nothing without --fix."""
    clock = SystemClock()
    gateway = StripeGateway(
        settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base, settings.stripe_timeout_seconds
    )
    reads = StripeReads(gateway, api_version=settings.stripe_api_version)
    paced = PacedReads(reads, clock, calls_per_second=settings.stripe_reconciler_share)
    database = Database(settings.database_url, application_name=f"{SOURCE} report", pool_size=1)
    thread = DatabaseThread(database)
    producer = KafkaProducer(settings.kafka_bootstrap_servers, client_id=f"{SOURCE}-report")
    report = Report(paced, PostgresReconcilerReport(thread), producer, clock, settings.stripe_api_version)
    try:
        return await _print(report, int(clock.now()) - arguments.since, fix=arguments.fix)
    except (StoreUnavailable, GatewayFailure, PublishFailed) as error:
        print(f"not finished, nothing is proven: {error}", flush=True)  # noqa: T201  (a command's answer)
        return Exit.UNAVAILABLE
    finally:
        await producer.close()
        await gateway.close()
        thread.close()
        database.dispose()


async def _print(report: Report, since: int, *, fix: bool) -> Exit:
    orders = drifted = 0
    async for finding in report.findings(since, fix=fix):
        orders += 1
        if finding.is_drift:
            drifted += 1
            print(_line(finding, fix=fix), flush=True)  # noqa: T201
    stuck = await report.stuck()
    for order in stuck:
        since_when = datetime.fromtimestamp(order.since, UTC).isoformat(timespec="seconds")
        print(f"stuck  {order.order_id}  {order.status} since {since_when}")  # noqa: T201
    print(f"{orders} orders compared, {drifted} differ, {len(stuck)} stuck")  # noqa: T201
    return Exit.DRIFT if drifted else Exit.CLEAN


def _line(finding: Finding, *, fix: bool) -> str:
    repair = "; will be read again" if fix else ""
    return (
        f"drift  {finding.order_id}  PostgreSQL: {finding.stored}; PSP: {finding.at_psp}; "
        f"should be: {finding.should_be}{repair}"
    )
